"""What the student learns from: phantom pictures rendered once into a folder, and real pictures that are not the view.

Both are kept as the network sees them in acquire, the region letterboxed into a square, but at SIDE px, so that a
square of 45 mm cut out of it still holds what the scanner drew.
"""

from __future__ import annotations

import inspect
import multiprocessing
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import whole_file
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame, Layout, Pixels
from edge3vt.core.machine import usable_cores
from edge3vt.core.segmentation import Mask
from edge3vt.data.augment import Augmentation, augmented
from edge3vt.data.geometry import sampled, whole
from edge3vt.phantom.cine import Kind, Scene
from edge3vt.phantom.scanner import Site
from edge3vt.picture.crop import acquire, cut
from edge3vt.picture.images import read_image
from edge3vt.picture.video import open_video

KINDS: tuple[Kind, ...] = ("view", "other", "sweep")
KIND_SHARES = (0.62, 0.24, 0.14)
SHARD = 25  # fetuses a file
SCANS = 4  # pictures a fetus
SIDE = 512
BARE_SHARE = 0.3  # of the screens; narrower than any with furniture
BARE_PX, SCREEN_PX = (384, 499), (600, 1000)
Batch = tuple[Pixels, Mask, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """(N, S, S) uint8 pictures and masks; (N,) whether each is the view, its scale, and its fetus's age in weeks.

    Scale and age are NaN where unknown.
    """

    pixels: Pixels
    masks: Mask
    views: NDArray[np.bool_]
    mm_per_px: NDArray[np.float32]
    weeks: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.views)

    def part(self, chosen: NDArray[np.bool_]) -> Pictures:
        """Copies of those pictures for which ``chosen``, (N,), holds."""
        return Pictures(*(getattr(self, field.name)[chosen] for field in fields(self)))


def phantom_pictures(folder: Path, first_seed: int, count: int, site: Site = "A") -> Pictures:
    """SCANS pictures of each of ``count`` phantoms from ``first_seed`` on.

    Rendered on all cores into ``folder``, a file for every SHARD fetuses; what it already holds of this very phantom
    is reused.
    """
    starts = range(first_seed, first_seed + count, SHARD)
    counts = [min(SHARD, first_seed + count - start) for start in starts]
    version = _phantom_version()
    jobs = [
        (folder / f"phantom-{site}-{version}-{start}-{n}.npz", start, n, site)
        for start, n in zip(starts, counts, strict=True)
    ]
    with multiprocessing.get_context("spawn").Pool(usable_cores()) as pool:
        paths = list(track(pool.imap(_render_shard, jobs), "rendering phantoms", total=len(jobs)))
    pictures = _empty(count * SCANS)
    done = 0
    for path in paths:  # one after the other, so that they are never in memory twice
        with np.load(path) as shard:
            until = done + len(shard["views"])
            for name in shard.files:
                getattr(pictures, name)[done:until] = shard[name]
            done = until
    return pictures


def _empty(count: int) -> Pictures:
    pixels, masks = (np.empty((count, SIDE, SIDE), np.uint8) for _ in range(2))
    return Pictures(pixels, masks, np.empty(count, np.bool_), *np.empty((2, count), np.float32))


def _phantom_version() -> str:
    """A digest of all that decides what a phantom looks like."""
    rooms = sorted(name for name in sys.modules if name.startswith("edge3vt.phantom."))
    sources = [inspect.getsource(sys.modules[name]) for name in rooms] + [inspect.getsource(_scans), str(SIDE)]
    return sha256_bytes("".join(sources).encode())[:12]


def _render_shard(job: tuple[Path, int, int, Site]) -> Path:
    path, start, count, site = job
    if not path.exists():
        pictures = _empty(count * SCANS)
        scans = (scan for seed in range(start, start + count) for scan in _scans(seed, site))
        columns = {field.name: getattr(pictures, field.name) for field in fields(pictures)}
        for i, scan in enumerate(scans):
            for column, value in zip(columns.values(), scan, strict=True):
                column[i] = value
        with whole_file(path) as partial:
            np.savez_compressed(partial, **columns)
    return path


def _scans(seed: int, site: Site) -> Iterator[tuple[Pixels, Mask, bool, float, float]]:
    """One fetus from SCANS sides, as the network sees it in acquire: pixels, mask, view, mm per px, weeks."""
    rng = np.random.default_rng([seed, 0x1EA])
    scene: Scene | None = None
    for _ in range(SCANS):
        width = int(rng.integers(*(BARE_PX if rng.uniform() < BARE_SHARE else SCREEN_PX), endpoint=True))
        height = round(width * rng.uniform(0.6, 0.95))
        if scene is None:
            kind = KINDS[int(rng.choice(len(KINDS), p=KIND_SHARES))]
            scene = Scene(seed, width, height, kind=kind, site=site)
        else:
            scene.rescan(width, height)
        picture = scene.at(float(rng.uniform(0, scene.duration_s)))
        region = picture.region
        inside = slice(region.y0, region.y1), slice(region.x0, region.x1)
        square = whole(region.height, region.width, SIDE)
        pixels, mask = sampled(picture.pixels[inside], picture.mask[inside], square)
        yield pixels, mask, picture.holds_view, picture.mm_per_px * square.side / SIDE, scene.record.weeks


def real_negatives(paths: Iterable[Path], every: int = 12) -> Pixels:
    """(N, SIDE, SIDE) of real pictures that are not the view: still images, and every ``every``-th frame of clips."""
    pictures = []
    for path in paths:
        if path.suffix.lower() == ".png":
            image = read_image(path)
            frames = [Frame(0, 0, image, Layout.GRAY if image.ndim == 2 else Layout.RGB)]
        else:
            clip = open_video(path)
            frames = [
                Frame(i, 0, p.pixels, p.layout, full_range=p.full_range)
                for i, p in enumerate(clip.pictures())
                if i % every == 0
            ]
        for frame in frames:
            out = np.empty((SIDE, SIDE), dtype=np.uint8)
            cut(frame, acquire(frame, SIDE), out)
            pictures.append(out)
    if not pictures:
        raise DataError("no real negatives were found; name PNG files or video clips, or leave them out")
    return np.stack(pictures)


def batch(
    phantoms: Pictures,
    negatives: Pixels | None,
    rng: np.random.Generator,
    count: int,
    size: int,
    negative_share: float,
    augmentation: Augmentation,
) -> Batch:
    """(N, 1, size, size) pictures, (N, size, size) masks, (N, 1) whether each is the view; all augmented.

    Real negatives are few, so they are cut closer and turned further than phantoms.
    """
    closer = replace(augmentation, close_share=0.7, close_multiple=3.0, turn_share=1.0, shift=0.15)
    pixels, masks = np.empty((count, 1, size, size), np.uint8), np.empty((count, size, size), np.uint8)
    views = np.zeros((count, 1), np.float32)
    for n in range(count):
        if negatives is not None and rng.uniform() < negative_share:
            source = negatives[rng.integers(len(negatives))]
            pixels[n, 0], masks[n] = augmented(source, np.zeros_like(source), None, closer, rng, size)
        else:
            i = int(rng.integers(len(phantoms)))
            scale = float(phantoms.mm_per_px[i])
            pixels[n, 0], masks[n] = augmented(
                phantoms.pixels[i], phantoms.masks[i], scale if scale == scale else None, augmentation, rng, size
            )
            views[n] = phantoms.views[i]
    return pixels, masks, views
