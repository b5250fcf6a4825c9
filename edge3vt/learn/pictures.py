"""What the student learns from: phantom pictures rendered once into a folder, real pictures that are not the view,
and the augmentation between them and the network."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from edge3vt.core.documents import whole_file
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame, Layout, Pixels
from edge3vt.core.machine import usable_cores
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.cine import Scene
from edge3vt.picture.crop import acquire, cut
from edge3vt.picture.images import read_image
from edge3vt.picture.video import open_video

KINDS = ("view", "other", "sweep")
KIND_SHARES = (0.62, 0.24, 0.14)
SHARD = 25  # fetuses a file
SCANS = 4  # pictures a fetus
Grey = NDArray[np.float32]
Batch = tuple[Pixels, Mask, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """(N, S, S) uint8 pictures and masks, and (N,) whether each is the view."""

    pixels: Pixels
    masks: Mask
    views: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.views)


def phantom_pictures(folder: Path, first_seed: int, count: int, size: int) -> Pictures:
    """SCANS pictures of each of ``count`` phantoms from ``first_seed`` on.

    Rendered on all cores into ``folder``; what it already holds is reused.
    """
    starts = range(first_seed, first_seed + count, SHARD)
    jobs = [(folder, start, min(SHARD, first_seed + count - start), size) for start in starts]
    with multiprocessing.get_context("spawn").Pool(usable_cores()) as pool:
        paths = list(track(pool.imap(_render_shard, jobs), "rendering phantoms", total=len(jobs)))
    shards = [np.load(path) for path in paths]
    return Pictures(*(np.concatenate([shard[key] for shard in shards]) for key in ("pixels", "masks", "views")))


def _render_shard(job: tuple[Path, int, int, int]) -> Path:
    folder, start, count, size = job
    path = folder / f"phantom-{size}-{start}-{count}.npz"
    if not path.exists():
        pictures = [picture for seed in range(start, start + count) for picture in _scans(seed, size)]
        pixels, masks, views = (np.stack(column) for column in zip(*pictures, strict=True))
        with whole_file(path) as partial:
            np.savez_compressed(partial, pixels=pixels, masks=masks, views=views)
    return path


def _scans(seed: int, size: int) -> Iterator[tuple[Pixels, Mask, np.bool_]]:
    """One fetus from SCANS sides, as the network sees it in acquire: the region, letterboxed into a square."""
    rng = np.random.default_rng([seed, 0x1EA])
    scene: Scene | None = None
    for _ in range(SCANS):
        short = round(size * rng.uniform(0.7, 1.0))
        width, height = (size, short) if rng.uniform() < 0.8 else (short, size)
        if scene is None:
            scene = Scene(seed, width, height, kind=str(rng.choice(np.array(KINDS), p=KIND_SHARES)))
        else:
            scene.rescan(width, height)
        picture = scene.at(float(rng.uniform(0, scene.duration_s)))
        pixels, mask = np.zeros((2, size, size), dtype=np.uint8)
        y, x = (size - height) // 2, (size - width) // 2
        pixels[y : y + height, x : x + width] = picture.pixels
        mask[y : y + height, x : x + width] = picture.mask
        yield pixels, mask, np.bool_(picture.holds_view)


def real_negatives(paths: Iterable[Path], size: int, every: int = 12) -> Pixels:
    """(N, size, size) of real pictures that are not the view: still images, and every ``every``-th frame of clips."""
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
            out = np.empty((size, size), dtype=np.uint8)
            cut(frame, acquire(frame, size), out)
            pictures.append(out)
    if not pictures:
        raise DataError("no real negatives were found; name PNG files or video clips, or leave them out")
    return np.stack(pictures)


def augmented(pixels: Pixels, mask: Mask, rng: np.random.Generator, size: int, *, real: bool) -> tuple[Pixels, Mask]:
    """A picture and its mask, turned, mirrored, zoomed to ``size`` px and with other grey levels."""
    source = pixels.shape[0]
    zoom = float(np.exp(rng.uniform(np.log(0.8), np.log(3.0 if real else 1.25))))
    turn = float(rng.uniform(0, 360)) if real or rng.uniform() < 0.5 else float(rng.choice([0, 90, 180, 270]))
    matrix = cv2.getRotationMatrix2D((source / 2, source / 2), turn, zoom * size / source)
    reach = 0.05 * size + (max(zoom - 1, 0) * size * 0.4 if real else 0)
    matrix[:, 2] += size / 2 - source / 2 + rng.uniform(-reach, reach, 2)
    if rng.uniform() < 0.5:
        pixels, mask = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    out: Grey = cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR).astype(np.float32)
    moved = cv2.warpAffine(mask, matrix, (size, size), flags=cv2.INTER_NEAREST)
    if rng.uniform() < 0.3:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.6))), np.float32)
    if rng.uniform() < 0.2:
        coarse = cv2.resize(out, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        out = np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
    out = np.float32(255) * np.power(np.clip(out / 255, 0, 1), np.float32(np.exp(rng.uniform(-0.45, 0.45))))
    out = out * float(rng.uniform(0.65, 1.45)) + (float(rng.uniform(0, 18)) if rng.uniform() < 0.3 else 0.0)
    if rng.uniform() < 0.3:
        out += rng.standard_normal(out.shape, dtype=np.float32) * float(rng.uniform(1, 9))
    picture = np.clip(out, 0, 255).astype(np.uint8)
    if rng.uniform() < 0.25:
        coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])[1]
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
    return picture, np.asarray(moved, dtype=np.uint8)


def batch(
    phantoms: Pictures, negatives: Pixels | None, rng: np.random.Generator, count: int, size: int, negative_share: float
) -> Batch:
    """(N, 1, size, size) pictures, (N, size, size) masks, (N, 1) whether each is the view."""
    pixels, masks, views = [], [], []
    for _ in range(count):
        if negatives is not None and rng.uniform() < negative_share:
            source = negatives[rng.integers(len(negatives))]
            picture, mask = augmented(source, np.zeros_like(source), rng, size, real=True)
            view = False
        else:
            i = int(rng.integers(len(phantoms)))
            picture, mask = augmented(phantoms.pixels[i], phantoms.masks[i], rng, size, real=False)
            view = bool(phantoms.views[i])
        pixels.append(picture[None])
        masks.append(mask)
        views.append([float(view)])
    return np.stack(pixels), np.stack(masks), np.array(views, dtype=np.float32)
