"""Batches for each step: pictures drawn from pools, augmented, with what a teacher says of them on the same grid.

What a batch holds is decided by seed, step and place alone, whatever process or thread makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.data.augment import Augmentation, draw_geometry, spoiled
from edge3vt.data.geometry import Geometry, sampled
from edge3vt.learn.pictures import SIDE, Pictures

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Pictures that one share of every batch is drawn from."""

    pictures: Pictures
    share: float
    augmentation: Augmentation


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """(N, 1, S, S) pictures, (N, S, S) masks and what is known of them; N is a process's part of the batch.

    labelled: (N,) whether the mask tells the truth. views: (N,) 1.0, 0.0 or NaN. teacher: (N, C, g, g) probabilities,
    crop: (N, 1, g, g) where the crop teacher spoke; None without soft labels. pairs: (N / 2,) whether pictures 2k and
    2k + 1 are neighbours in a cine, under one geometry.
    """

    pixels: Pixels
    masks: Mask
    labelled: NDArray[np.bool_]
    views: Floats
    teacher: Floats | None
    crop: Floats | None
    pairs: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Draw:
    """How batches are drawn. grid: px a side of the soft labels in a batch, 0 for none; neighbours: take pairs."""

    seed: int
    batch: int
    size: int
    grid: int = 0
    neighbours: bool = False


def batches(pools: Sequence[Pool], draw: Draw, steps: Iterator[int], part: slice, workers: int = 0) -> Iterator[Batch]:
    """The batches of these steps, made ahead in ``workers`` threads. part: of the batch's pairs, for this process."""
    if not workers:
        yield from (make(pools, draw, step, part) for step in steps)
        return
    with ThreadPoolExecutor(workers) as pool:
        ahead = [pool.submit(make, pools, draw, step, part) for _, step in zip(range(workers), steps, strict=False)]
        try:
            while ahead:
                yield ahead.pop(0).result()
                for step in steps:
                    ahead.append(pool.submit(make, pools, draw, step, part))
                    break
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def make(pools: Sequence[Pool], draw: Draw, step: int, part: slice) -> Batch:
    """One process's part of the batch of one step."""
    pairs = range(draw.batch // 2)[part]
    count, size, grid = 2 * len(pairs), draw.size, draw.grid
    classes = next((p.pictures.soft.shape[1] for p in pools if p.pictures.soft is not None), 0) if grid else 0
    batch = Batch(
        np.empty((count, 1, size, size), np.uint8),
        np.empty((count, size, size), np.uint8),
        np.zeros(count, np.bool_),
        np.full(count, np.nan, np.float32),
        np.zeros((count, classes, grid, grid), np.float32) if classes else None,
        np.zeros((count, 1, grid, grid), np.float32) if classes else None,
        np.zeros(len(pairs), np.bool_),
    )
    for place, pair in enumerate(pairs):
        rng = np.random.default_rng([draw.seed, step, pair])
        pool, index = _drawn(pools, rng)
        geometry = _geometry(pool, index, rng, size)
        _fill(batch, 2 * place, pool, index, geometry, rng)
        follower = int(pool.pictures.follows[index]) if draw.neighbours else -1
        if follower >= 0:
            batch.pairs[place], index = True, follower
        else:
            pool, index = _drawn(pools, rng)
            geometry = _geometry(pool, index, rng, size)
        _fill(batch, 2 * place + 1, pool, index, geometry, rng)
    return batch


def soft_on_grid(soft: Pixels, spoke: Sequence[int], geometry: Geometry, grid: int) -> tuple[Floats, Floats]:
    """A picture's soft labels through ``geometry``, averaged over each cell of a (grid, grid) square.

    soft: (C, s, s) of 255, class 0 the background, which also lies outside. spoke: x0, y0, x1, y1 in its px. Returns
    (C, grid, grid) probabilities, all 0 where the teacher says nothing, and (1, grid, grid), 1.0 where the whole cell
    lies in the crop.
    """
    side, fine = soft.shape[1], 2 * grid
    along = (np.arange(fine, dtype=np.float32) + np.float32(0.5)) * np.float32(geometry.size / fine)
    x, y = (
        np.ascontiguousarray(np.broadcast_to(at, (fine, fine))) * np.float32(side / SIDE) - np.float32(0.5)
        for at in geometry.to_source(along[None, :], along[:, None])
    )
    inside = np.zeros((side, side), np.uint8)
    inside[spoke[1] : spoke[3], spoke[0] : spoke[2]] = 255
    moved = [
        cv2.resize(
            cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside),
            (grid, grid),
            interpolation=cv2.INTER_AREA,
        )
        for plane, outside in zip((*soft, inside), (255.0, *[0.0] * len(soft)), strict=True)
    ]
    return np.stack(moved[:-1]).astype(np.float32) / np.float32(255), (moved[-1] == 255).astype(np.float32)[None]


def _drawn(pools: Sequence[Pool], rng: np.random.Generator) -> tuple[Pool, int]:
    ends = np.cumsum([pool.share for pool in pools])
    which = int(np.searchsorted(ends, rng.uniform(0, ends[-1]), side="right"))
    pool = pools[min(which, len(pools) - 1)]
    return pool, int(rng.integers(len(pool.pictures)))


def _geometry(pool: Pool, index: int, rng: np.random.Generator, size: int) -> Geometry:
    scale = float(pool.pictures.mm_per_px[index])
    known = scale if scale == scale else None
    return draw_geometry(pool.pictures.masks[index], known, pool.augmentation, rng, size)


def _fill(batch: Batch, n: int, pool: Pool, index: int, geometry: Geometry, rng: np.random.Generator) -> None:
    pictures = pool.pictures
    picture, batch.masks[n] = sampled(pictures.pixels[index], pictures.masks[index], geometry)
    batch.pixels[n, 0] = spoiled(picture, geometry, pool.augmentation, rng)
    batch.labelled[n], batch.views[n] = pictures.labelled[index], pictures.views[index]
    if batch.teacher is not None and batch.crop is not None:
        if pictures.soft is None or pictures.spoke is None:  # not the view: a teacher that is sure of it
            batch.teacher[n, 0] = 1.0
        else:
            soft, spoke = pictures.soft[index], pictures.spoke[index].tolist()
            batch.teacher[n], batch.crop[n] = soft_on_grid(soft, spoke, geometry, batch.teacher.shape[-1])
