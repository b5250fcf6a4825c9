"""A batch depends on seed, step and place alone; soft labels go where their picture goes."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from edge3vt.data.augment import Augmentation
from edge3vt.data.geometry import Geometry, sampled, whole
from edge3vt.learn.batches import Batch, Draw, Pool, batches, make, soft_on_grid
from edge3vt.learn.pictures import SIDE, Pictures, read_pictures
from tests.learn.squares import CLASSES, MILD, make_squares

WHOLE = slice(None)


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> list[Pool]:
    folder = tmp_path_factory.mktemp("sets")
    stills = read_pictures([make_squares(folder / "stills")], "train")[0]
    cines = read_pictures([make_squares(folder / "cines", cines=3)], "", CLASSES, unlabelled=True)[0]
    soft = np.zeros((len(cines), 3, 64, 64), np.uint8)
    soft[:, 0] = 255
    taught = replace(cines, soft=soft, spoke=np.tile(np.array([[0, 0, 32, 64]]), (len(cines), 1)))
    hard = np.stack([(np.asarray(stills.masks[:, ::8, ::8]) == c) * np.uint8(255) for c in range(3)], axis=1)
    stills = replace(stills, soft=hard, spoke=np.zeros((len(stills), 4), np.int64))
    return [Pool(stills, 0.5, Augmentation(**MILD)), Pool(taught, 0.5, Augmentation(**MILD))]


def same(one: Batch, other: Batch) -> bool:
    values = [(getattr(one, f.name), getattr(other, f.name)) for f in fields(Batch)]
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in values if a is not None)


def test_batches_repeat_whatever_thread_makes_them(pools: list[Pool]) -> None:
    draw = Draw(seed=3, batch=4, size=64, grid=32)
    plain = list(batches(pools, draw, iter(range(5, 9)), WHOLE))
    threaded = list(batches(pools, draw, iter(range(5, 9)), WHOLE, workers=2))
    assert len(plain) == len(threaded) == 4
    assert all(same(a, b) for a, b in zip(plain, threaded, strict=True))
    assert not same(plain[0], plain[1])
    assert not same(plain[0], make(pools, replace(draw, seed=4), 5, WHOLE))


def test_two_processes_share_the_batch_of_one(pools: list[Pool]) -> None:
    draw = Draw(seed=3, batch=8, size=64, grid=32)
    one = make(pools, draw, 7, WHOLE)
    parts = [make(pools, draw, 7, part) for part in (slice(0, 2), slice(2, 4))]
    for field in fields(Batch):
        joined = np.concatenate([getattr(part, field.name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(one, field.name), err_msg=field.name)


def test_every_pool_is_drawn_by_its_share(pools: list[Pool]) -> None:
    labelled = np.concatenate([make(pools, Draw(0, 8, 32), step, WHOLE).labelled for step in range(40)])
    assert 0.4 < labelled.mean() < 0.6
    alone = [pools[0], replace(pools[1], share=0.0)]
    assert all(make(alone, Draw(0, 8, 32), step, WHOLE).labelled.all() for step in range(10))


def test_neighbours_of_a_cine_come_in_pairs_under_one_geometry(pools: list[Pool]) -> None:
    turned = [replace(pools[1], augmentation=Augmentation(**MILD | {"turn_share": 1.0}))]
    batch = make(turned, Draw(0, 16, 64, 16, neighbours=True), 1, WHOLE)
    assert batch.pairs.sum() >= 2
    for pair in np.flatnonzero(batch.pairs):
        first, second = (batch.pixels[2 * pair + i, 0].astype(int) for i in (0, 1))
        assert np.abs(first - second).mean() < 25, "the squares moved by a pixel, the turn is the same"
    assert not make(turned, Draw(0, 16, 64, 16), 1, WHOLE).pairs.any()


def test_soft_labels_of_hard_masks_are_the_mask_of_the_batch(pools: list[Pool]) -> None:
    turned = [replace(pools[0], augmentation=Augmentation(turn_share=1.0, close_share=1.0, sector_share=1.0))]
    batch = make(turned, Draw(1, 8, 64, 32), 2, WHOLE)
    assert batch.teacher is not None
    np.testing.assert_allclose(batch.teacher.sum(axis=1), 1, atol=0.02)
    truth = np.stack([(batch.masks == c).reshape(8, 32, 2, 32, 2).mean(axis=(2, 4)) for c in range(3)], axis=1)
    off = np.abs(batch.teacher - truth).mean()
    assert off < 0.02, "the soft labels are coarser than the mask"
    mirrored = np.abs(batch.teacher[..., ::-1] - truth).mean()
    assert mirrored > 4 * off, "another hand would be seen"


def test_outside_is_background_and_the_crop_is_known(pools: list[Pool]) -> None:
    soft = np.zeros((3, 64, 64), np.uint8)
    soft[1] = 255
    far = Geometry(64, (0.0, SIDE / 2), SIDE)  # its left half lies outside
    probabilities, crop = soft_on_grid(soft, (0, 0, 32, 64), far, 32)
    np.testing.assert_allclose(probabilities[0, :, :15], 1)
    np.testing.assert_allclose(probabilities[1, :, 17:], 1)
    assert crop[0, :, 17:31].all()
    assert not crop[0, :, :15].any()
    silent, _ = soft_on_grid(np.zeros_like(soft), (0, 0, 0, 0), whole(SIDE, SIDE, 64), 32)
    assert not silent.any(), "who says nothing is not taken for the background"


def test_the_picture_is_the_one_that_was_sampled(pools: list[Pool]) -> None:
    still: Pictures = pools[0].pictures
    plain = {"mirror_share": 0.0, "lift_share": 0.0, "shift": 0.0, "side": (1, 1)}
    flat = Augmentation(**MILD | plain | {"contrast": (1, 1), "gain": (0, 0), "gamma": (1, 1)})
    batch = make([Pool(still, 1.0, flat)], Draw(0, 2, 64), 0, WHOLE)
    seen = [sampled(p, m, whole(SIDE, SIDE, 64))[0] for p, m in zip(still.pixels, still.masks, strict=True)]
    assert min(np.abs(batch.pixels[0, 0].astype(int) - s).max() for s in seen) <= 1
