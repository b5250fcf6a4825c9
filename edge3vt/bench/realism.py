"""How far phantoms are from real screens: a sheet to look at, and a distance of grey levels and texture.

``python -m edge3vt.bench.realism REAL_FOLDER OUT`` writes OUT/sheet.png and OUT/realism.json.

What is compared. In a real screen and in a phantom's screen alike, one function finds the sector and leaves the
furniture out. Phantoms are drawn on a screen as large as the real ones and nothing is resampled, so lengths are
pixels of a screen. Six statistics describe the inside, each as a curve:

grey_levels     quantiles of the grey level, 1 to 99 %
bands           share of the picture's deviation in each octave of detail, 1 to 64 px and finer, in dB
along, across   autocorrelation of the locally standardised picture over 1 to 24 rows and columns: grain and streaks
contrast        quantiles of the local standard deviation (Gaussian window of 8 px)
cooccurrence    joint frequencies of the equalised grey levels of pixels 4 and 16 px apart (Haralick et al. 1973,
                IEEE Trans Syst Man Cybern 3:610-621, here of eighths of the pixels, so that levels drop out)

The distance of two pictures in one statistic is the mean absolute difference of its curve (for the two of quantiles:
the Wasserstein distance of the distributions, in grey levels), in units of how much that statistic spreads among the
real pictures: the mean over pairs of real pictures, or over the left and right and the upper and lower halves of one
picture, whichever is larger. Halves are of one patient, moment and setting: no difference below theirs means
anything, and three screens that agree by chance cannot make one statistic count for all. The distance of two
pictures is the mean over the six statistics, so that each has the same say.

real_real is the mean distance over pairs of real pictures; phantom_real is the median over phantoms of the mean
distance to the real ones; ratio is their quotient. A phantom drawn as the real ones were has an expected distance of
real_real to each of them, so the expected ratio is about 1. ``ratio_without`` tells the ratio with one statistic left
out, and ``phantom_phantom`` whether the phantoms are also as different from each other as the real ones.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.documents import write_json
from edge3vt.core.errors import ConfigError, DataError, Edge3vtError
from edge3vt.core.frame import Pixels
from edge3vt.phantom.cine import Scene
from edge3vt.phantom.scanner import Site
from edge3vt.picture.images import pictures_in, read_image, write_image
from edge3vt.picture.screen import Inside, Screen, screen
from edge3vt.picture.text import paste, rendered

TARGET = 1.5
SHOWN = 12
HEARTS = ("3VV", "4CH", "LVOT")
Plane = Literal["view", "four_chambers", "outflow"]
KINDS: tuple[Plane, ...] = get_args(Plane)  # what those three screens show
Statistics = dict[str, NDArray[np.float64]]
Field = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Realism:
    """The distances of the module's docstring; 1 is the spread among the real pictures."""

    real_real: float
    phantom_real: float
    phantom_phantom: float
    ratio: float
    by_statistic: dict[str, float]  # the ratio in one statistic alone
    ratio_without: dict[str, float]
    by_phantom: dict[str, float]


def statistics(luma: Pixels, inside: Inside) -> Statistics:
    """The six curves of the pixels ``inside``."""
    grey: Field = luma.astype(np.float32)
    weight: Field = inside.astype(np.float32)

    def smooth(field: Field, sigma_px: float) -> Field:
        share = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma_px), np.float32(1e-3))
        return np.divide(cv2.GaussianBlur(field * weight, (0, 0), sigma_px), share, dtype=np.float32)

    values = grey[inside]
    levels = [grey, *(smooth(grey, sigma) for sigma in (1, 2, 4, 8, 16, 32))]
    spread = [float((fine - coarse)[inside].std()) for fine, coarse in itertools.pairwise(levels)]
    mean = levels[4]
    deviation: Field = np.sqrt(np.maximum(smooth(grey * grey, 8) - mean**2, 0))
    detail: Field = np.divide(grey - mean, np.hypot(deviation, 2), dtype=np.float32)
    eighth = np.searchsorted(np.quantile(values, np.linspace(0, 1, 9)[1:-1]), grey, side="right")
    return {
        "grey_levels": np.quantile(values, np.linspace(0.01, 0.99, 99)),
        "bands": 20 * np.log10(np.array(spread) / max(float(values.std()), 1.0) + 1e-3),
        "along": _correlation(detail, inside, 0),
        "across": _correlation(detail, inside, 1),
        "contrast": np.quantile(deviation[inside], np.linspace(0.05, 0.95, 19)),
        "cooccurrence": np.concatenate([_pairs(eighth, inside, d, axis) for d in (4, 16) for axis in (0, 1)]),
    }


def realism(real: Sequence[Screen], phantoms: Sequence[Screen]) -> Realism:
    """Hold phantoms against real screens: two or more, and different (else ValueError, DataError)."""
    if len(real) < 2 or not phantoms:
        raise ValueError(f"{len(real)} real pictures and {len(phantoms)} phantoms; expected 2 and 1 or more")
    truth = [statistics(s.luma, s.inside) for s in real]
    made = [statistics(s.luma, s.inside) for s in phantoms]
    among = np.stack([_distance(a, b) for a, b in itertools.combinations(truth, 2)])
    within = np.stack([_distance(*halves) for s in real for halves in _halves(s)])
    unit = np.maximum(among.mean(axis=0), within.mean(axis=0))
    to_real = np.stack([np.mean([_distance(m, t) for t in truth], axis=0) for m in made]) / unit
    among = among / unit
    pairs = [float((_distance(a, b) / unit).mean()) for a, b in itertools.combinations(made, 2)]

    names = list(truth[0])
    every = range(len(names))

    def ratio(chosen: list[int]) -> float:
        return float(np.median(to_real[:, chosen].mean(axis=1)) / max(float(among[:, chosen].mean()), 1e-9))

    real_real = float(among.mean())
    if real_real == 0:
        raise DataError(f"{', '.join(s.name for s in real)}: copies of one picture; name different real screens")
    return Realism(
        real_real=real_real,
        phantom_real=float(np.median(to_real.mean(axis=1))),
        phantom_phantom=float(np.mean(pairs)) if pairs else 0.0,
        ratio=ratio(list(every)),
        by_statistic={name: ratio([i]) for i, name in enumerate(names)},
        ratio_without={name: ratio([j for j in every if j != i]) for i, name in enumerate(names)},
        by_phantom={s.name: float(row.mean() / real_real) for s, row in zip(phantoms, to_real, strict=True)},
    )


def sheet(real: Sequence[Screen], phantoms: Sequence[Screen], *, columns: int = 3, tile_px: int = 560) -> Pixels:
    """(H, W, 3) RGB: the real screens above the phantoms, each cut to its sector, all at one scale."""
    cuts = [(s.name, s.cut()) for s in (*real, *phantoms)]
    scale = tile_px / max(max(c.shape) for _, c in cuts)
    tall = round(max(c.shape[0] for _, c in cuts) * scale) + 28
    break_after = -(-len(real) // columns) * columns  # phantoms begin on a row of their own
    places = [*range(len(real)), *range(break_after, break_after + len(phantoms))]
    page = np.zeros(((places[-1] // columns + 1) * tall, columns * (tile_px + 8), 3), np.uint8)
    for place, (name, cut) in zip(places, cuts, strict=True):
        size = (max(round(cut.shape[1] * scale), 1), max(round(cut.shape[0] * scale), 1))
        tile = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
        x, y = place % columns * (tile_px + 8), place // columns * tall
        paste(page, np.repeat(tile[..., None], 3, axis=2), x, y)
        paste(page, rendered(name, 14, (190, 190, 190)), x, y + tall - 24)
    return page


def real_screens(folder: Path, names: Sequence[str] = HEARTS) -> list[Screen]:
    """The pictures of ``folder`` with these names (without suffix). Raises DataError for one that is not there."""
    found = {path.stem: path for path in pictures_in(folder)}
    for name in names:
        if name not in found:
            raise DataError(f"{folder}: no picture named '{name}'; there are {', '.join(found)}: choose with --screens")
    return [screen(f"real {name}", read_image(found[name])) for name in names]


def phantom_screens(count: int, seed: int, width: int, height: int, site: Site = "A") -> list[Screen]:
    """``count`` phantoms from ``seed`` on, in turn the view and the planes beside it."""
    made = []
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        made.append(screen(f"{kind} {seed + i}", _scene(seed + i, width, height, kind, site).pixels(0.3)))
    return made


def _scene(seed: int, width: int, height: int, kind: Plane, site: Site) -> Scene:
    if kind == "view":
        return Scene(seed, width, height, site=site)
    return Scene(seed, width, height, kind="other", other=kind, site=site)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the sheet and the figures; returns 0 where the target is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m edge3vt.bench.realism", description="Phantoms beside real screens")
    parser.add_argument("real", type=Path, help="a folder of a scanner's screens as PNG or JPEG")
    parser.add_argument("out", type=Path, help="the folder for sheet.png and realism.json")
    parser.add_argument("--screens", nargs="+", default=list(HEARTS), help="names of the pictures to compare with")
    parser.add_argument("--count", type=int, default=24, help="phantoms to draw")
    parser.add_argument("--seed", type=int, default=5_000_000)
    parser.add_argument("--site", choices=("A", "B"), default="A")
    parser.add_argument("--overwrite", action="store_true")
    asked = parser.parse_args(arguments)
    if len(asked.screens) < 2 or asked.count < 1:
        raise ConfigError(f"{len(asked.screens)} screens and {asked.count} phantoms, expected 2 and 1 or more")
    if not asked.overwrite and any((asked.out / name).exists() for name in ("sheet.png", "realism.json")):
        raise ConfigError(f"{asked.out}: holds an earlier result; choose another folder or add --overwrite")
    real = real_screens(asked.real, asked.screens)
    height, width = real[0].luma.shape
    phantoms = phantom_screens(asked.count, asked.seed, width, height, asked.site)
    result = realism(real, phantoms)
    passed = result.ratio <= TARGET
    document = {
        "schema": 1,
        "verb": "realism",
        "passed": passed,
        "target": TARGET,
        "screens": asked.screens,
        "phantoms": {"count": asked.count, "seed": asked.seed, "site": asked.site, "width": width, "height": height},
        "result": result,
    }
    write_json(document, asked.out / "realism.json")
    write_image(asked.out / "sheet.png", sheet(real, phantoms[:SHOWN]))
    print(f"phantom-real / real-real {result.ratio:.2f}, target <= {TARGET}; in one statistic alone:")
    print(", ".join(f"{name} {value:.2f}" for name, value in result.by_statistic.items()))
    return 0 if passed else 1


def _shifted(distance: int, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the pixels that have a partner ``distance`` on along ``axis``, and of those partners."""
    here = [slice(None), slice(None)]
    there = [slice(None), slice(None)]
    here[axis], there[axis] = slice(None, -distance), slice(distance, None)
    return tuple(here), tuple(there)


def _correlation(detail: Field, inside: Inside, axis: int) -> NDArray[np.float64]:
    power = max(float((detail[inside] ** 2).mean()), 1e-9)
    curve = []
    for here, there in (_shifted(d, axis) for d in range(1, 25)):
        both = inside[here] & inside[there]
        curve.append(float((detail[here] * detail[there])[both].mean()) / power)
    return np.array(curve)


def _pairs(eighth: NDArray[np.intp], inside: Inside, distance: int, axis: int) -> NDArray[np.float64]:
    """(64,) how often each two eighths meet, either way round; the sum is 1."""
    here, there = _shifted(distance, axis)
    both = inside[here] & inside[there]
    counts = np.bincount((eighth[here] * 8 + eighth[there])[both], minlength=64).reshape(8, 8).astype(np.float64)
    joint: NDArray[np.float64] = ((counts + counts.T) / (2 * counts.sum())).ravel()
    return joint


def _distance(a: Statistics, b: Statistics) -> NDArray[np.float64]:
    return np.array([float(np.abs(a[name] - b[name]).mean()) for name in a])


def _halves(s: Screen) -> list[tuple[Statistics, Statistics]]:
    """Left against right and upper against lower, with as many pixels inside either."""
    pairs = []
    for axis in (0, 1):
        middle = int(np.searchsorted(np.cumsum(s.inside.sum(axis=axis)), s.inside.sum() / 2))
        first = s.inside.copy()
        first[(np.s_[:, middle:], np.s_[middle:])[axis]] = False
        pairs.append((statistics(s.luma, first), statistics(s.luma, s.inside & ~first)))
    return pairs


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Edge3vtError as error:
        print(f"realism: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
