"""Is the scanner's picture like those the model was made from? Statistics without a patient in them, beside the card's.

Advisory only: what it says goes to the operator's log and figures, and changes nothing that is drawn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Frame, Pixels
from edge3vt.picture.crop import acquire, cut

Vector = NDArray[np.float64]

NAMES = ("dark", "middle", "bright", "saturated", "lit", "sharpness", "speckle", "grain_across", "grain_down", "aspect")
"""Of a picture as the network sees it in acquire: the grey levels that 10, 50 and 90 % of what is lit stay below; the
shares that are saturated, and lit at all; mean second difference over mean level; contrast of speckle (deviation over
mean in 8 px blocks, median); correlation of neighbours in what is finer than 5 px; width over height of the region."""
SAYS = {
    "dark": "its dark parts",
    "middle": "its brightness",
    "bright": "its bright parts",
    "saturated": "how much is saturated",
    "lit": "how much of the region is lit",
    "sharpness": "its sharpness",
    "speckle": "the contrast of its speckle",
    "grain_across": "the width of its speckle",
    "grain_down": "the length of its speckle",
    "aspect": "the region's shape",
    "mm_per_px": "its scale",
}
LIT = 8
EVERY_NS = NS_PER_S // 2
ENOUGH = 100  # pictures that a card is made from, at least
_LAST = 20  # pictures, 10 s
_FLOOR = 3e-3  # of shares: below it a factor says nothing
_LEAST = np.array([1.0, 1.0, 1.0, *[0.01] * (len(NAMES) - 3)])  # differences below are none, however narrow a card


@dataclass(frozen=True, slots=True)
class InputCard:
    """The pictures of a data set in numbers. low, middle, high: their 1st, 50th and 99th percentile, in order of
    ``names``; mm_per_px: the same of the network's pixels, where known. mean, whitening: what turns statistics into
    independent ones of unit variance. limit: distance that 97.5 % of pictures stay below that had no part in it.
    """

    schema: int
    source: str
    pictures: int
    size: int
    names: tuple[str, ...]
    low: tuple[float, ...]
    middle: tuple[float, ...]
    high: tuple[float, ...]
    mm_per_px: tuple[float, float, float] | None
    mean: tuple[float, ...]
    whitening: tuple[tuple[float, ...], ...]
    limit: float

    def __post_init__(self) -> None:
        count = len(NAMES)
        if self.schema != 1 or self.names != NAMES:
            raise ConfigError("a card of other statistics than this version takes; make it again")
        vectors = (self.low, self.middle, self.high, self.mean, self.whitening, *self.whitening)
        if any(len(vector) != count for vector in vectors) or self.limit <= 0 or self.size <= 0:
            raise ConfigError(f"expected {count} values for each figure, and a positive limit and size; make it again")


def statistics(frame: Frame, size: int) -> tuple[float, ...] | None:
    """NAMES of one frame, as a network of ``size`` px sees its region; None of a picture that is all but black."""
    pixels = np.empty((size, size), dtype=np.uint8)
    cut(frame, acquire(frame, size), pixels)
    return _statistics(pixels, frame)


def _statistics(pixels: Pixels, frame: Frame) -> tuple[float, ...] | None:
    lit = pixels > LIT
    count = int(np.count_nonzero(lit))
    if count < pixels.size // 50:
        return None
    cumulative = np.cumsum(np.bincount(pixels[lit], minlength=256)) / count
    dark, middle, bright = (int(np.searchsorted(cumulative, share)) for share in (0.1, 0.5, 0.9))
    grey = pixels.astype(np.float32)
    inner = cv2.erode(lit.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if np.count_nonzero(inner) < 500:
        return None
    fine = grey - cv2.blur(grey, (5, 5))
    sharpness = float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[inner].mean()) / max(float(grey[inner].mean()), 1.0)
    means = cv2.resize(grey, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    squares = cv2.resize(grey * grey, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    whole = cv2.resize(inner.astype(np.float32), None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA) > 0.99
    blocks = whole & (means > 2 * LIT)
    deviation = np.sqrt(np.maximum(squares - means * means, 0))
    speckle = float(np.median(deviation[blocks] / means[blocks])) if blocks.any() else 0.0
    across = _correlation(fine[:, :-1], fine[:, 1:], inner[:, :-1])
    down = _correlation(fine[:-1], fine[1:], inner[:-1])
    bounds = frame.bounds
    return (
        float(dark),
        float(middle),
        float(bright),
        float(1 - cumulative[249]),
        count / pixels.size,
        sharpness,
        speckle,
        across,
        down,
        bounds.width / max(bounds.height, 1),
    )


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    a, b = one[where], other[where]
    return float(a @ b) / max(float(a @ a), 1e-6)


def pixel_mm(frame: Frame, size: int) -> float | None:
    """Edge of a pixel as the network sees it."""
    return None if frame.mm_per_px is None else frame.mm_per_px * acquire(frame, size).side / size


def card(frames: Iterable[Frame], size: int, source: str) -> InputCard:
    """The card of a data set's pictures. Raises ConfigError for fewer than ENOUGH that are not black."""
    found, scales = list[tuple[float, ...]](), list[float]()
    for frame in frames:
        if (values := statistics(frame, size)) is not None:
            found.append(values)
            if (scale := pixel_mm(frame, size)) is not None:
                scales.append(scale)
    if len(found) < ENOUGH:
        raise ConfigError(f"{source}: {len(found)} pictures that are not black; a card takes {ENOUGH} or more")
    table = np.array(found)
    shaped = _shaped(table)
    held_out = np.concatenate(
        [_distances(shaped[k::5], *_whitened(np.delete(shaped, np.s_[k::5], 0))) for k in range(5)]
    )
    mean, whitening = _whitened(shaped)
    low, middle, high = np.percentile(table, (1, 50, 99), axis=0)
    spread = np.percentile(scales, (1, 50, 99)) if len(scales) >= ENOUGH else None
    return InputCard(
        schema=1,
        source=source,
        pictures=len(found),
        size=size,
        names=NAMES,
        low=tuple(map(float, low)),
        middle=tuple(map(float, middle)),
        high=tuple(map(float, high)),
        mm_per_px=None if spread is None else (float(spread[0]), float(spread[1]), float(spread[2])),
        mean=tuple(map(float, mean)),
        whitening=tuple(tuple(map(float, line)) for line in whitening),
        limit=float(np.percentile(held_out, 97.5)),
    )


def _shaped(table: Vector) -> Vector:
    """Shares and ratios as logarithms: their spread is one of factors."""
    out = table.copy()
    for name in ("saturated", "sharpness", "speckle", "aspect"):
        i = NAMES.index(name)
        out[..., i] = np.log(out[..., i] + _FLOOR)
    return out


def _whitened(shaped: Vector) -> tuple[Vector, Vector]:
    mean = shaped.mean(axis=0)
    covariance = np.cov(shaped.T) + np.diag(_LEAST**2)
    return mean, np.linalg.inv(np.linalg.cholesky(covariance))


def _distances(shaped: Vector, mean: Vector, whitening: Vector) -> Vector:
    distances: Vector = np.linalg.norm((shaped - mean) @ whitening.T, axis=-1)
    return distances


@dataclass(frozen=True, slots=True)
class Drifted:
    """distance: of the newest pictures (median), in units of the card's limit: above 1 they are unlike its pictures.

    statistic: the one that lies furthest outside the card's 1st to 99th percentile, empty where none does; value: it.
    notice: the same for the status line.
    """

    distance: float
    statistic: str
    value: float
    text: str

    @property
    def notice(self) -> str:
        return f"UNLIKE TRAINING: {SAYS.get(self.statistic, 'as a whole').removeprefix('its ')}"


class Drift:
    """Looks at a frame twice a second at most; pure but for the pixels. ``step`` gives an advice while it holds.

    It holds while most of the last 20 pictures (10 s) lie beyond the card's limit, or their scale does.
    """

    def __init__(self, card: InputCard) -> None:
        self._card = card
        self._mean, self._whitening = np.array(card.mean), np.array(card.whitening)
        self._seen: deque[tuple[float, ...]] = deque(maxlen=_LAST)
        self._scales: deque[float] = deque(maxlen=_LAST)
        self._last_ns: int | None = None
        self._epoch: int | None = None
        self.newest: Drifted | None = None

    def step(self, frame: Frame, now_ns: int) -> Drifted | None:
        """What is to be said of the source now, None while it is like the card's pictures or not known well enough."""
        if frame.epoch != self._epoch:  # another source, format or layout: nothing of the old one counts
            self._epoch = frame.epoch
            self._seen.clear()
            self._scales.clear()
            self._last_ns = self.newest = None
        if self._last_ns is not None and now_ns - self._last_ns < EVERY_NS:
            return self.newest
        self._last_ns = now_ns
        values = statistics(frame, self._card.size)
        if values is not None:
            self._seen.append(values)
            if (scale := pixel_mm(frame, self._card.size)) is not None:
                self._scales.append(scale)
        self.newest = self._judge() if len(self._seen) == _LAST else None
        return self.newest

    def _judge(self) -> Drifted | None:
        card, table = self._card, np.array(self._seen)
        distance = float(np.median(_distances(_shaped(table), self._mean, self._whitening))) / card.limit
        named = list(zip(NAMES, np.median(table, axis=0), card.low, card.middle, card.high, strict=True))
        if card.mm_per_px is not None and len(self._scales) == _LAST:
            named.append(("mm_per_px", float(np.median(self._scales)), *card.mm_per_px))
        outside = {
            name: max(low - value, value - high) / max(high - low, 0.05 * abs(middle), 1e-6)
            for name, value, low, middle, high in named
        }
        name, excess = max(outside.items(), key=lambda pair: pair[1])
        strange = name == "mm_per_px" and excess > 0.1
        if distance <= 1 and not strange:
            return None
        value, middle = next((float(value), middle) for n, value, _, middle, _ in named if n == name)
        if excess <= 0:
            return Drifted(distance, "", 0.0, "the picture is unlike those the model was made from, as a whole")
        return Drifted(
            distance,
            name,
            value,
            f"the picture is unlike those the model was made from: {SAYS[name]} ({value:.3g}, there {middle:.3g})",
        )
