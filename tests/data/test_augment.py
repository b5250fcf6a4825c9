"""Each change does what its name says, keeps to its bounds, and repeats for the same generator."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Pixels
from edge3vt.data.augment import FULL_RANGE, LIMITED_RANGE, Augmentation, augmented, draw_geometry
from edge3vt.data.geometry import sampled, whole

SIDE, SIZE, MM_PER_PX = 256, 192, 0.4
NOTHING = replace(
    Augmentation(),
    **{f.name: 0.0 for f in fields(Augmentation) if f.name.endswith("_share")},
    side=(1.0, 1.0),
    shift=0.0,
    contrast=(1.0, 1.0),
    gain=(0.0, 0.0),
    gamma=(1.0, 1.0),
)


def scan() -> tuple[Pixels, Pixels]:
    """Grey tissue in a sector on black, with a dark vessel in it, and the vessel's mask."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(pixels, (128, -20), (270, 270), 90, -35, 35, (110,), -1)
    noise = np.random.default_rng(1).standard_normal(pixels.shape) * 12
    pixels = np.where(pixels > 0, np.clip(pixels + noise, 20, 255), 0).astype(np.uint8)
    mask = np.zeros_like(pixels)
    cv2.circle(mask, (150, 140), 22, (2,), -1)
    pixels[mask > 0] = 6
    return pixels, mask


def changed(seed: int = 0, **how: object) -> tuple[Pixels, Pixels]:
    augmentation = replace(NOTHING, **how)  # type: ignore[arg-type]
    return augmented(*scan(), MM_PER_PX, augmentation, np.random.default_rng(seed), SIZE)


def plain() -> tuple[Pixels, Pixels]:
    return sampled(*scan(), whole(SIDE, SIDE, SIZE))


def test_with_all_left_out_nothing_changes() -> None:
    for got, expected in zip(changed(), plain(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_same_generator_draws_the_same() -> None:
    first, second = (augmented(*scan(), None, Augmentation(), np.random.default_rng(5), SIZE) for _ in range(2))
    other = augmented(*scan(), None, Augmentation(), np.random.default_rng(6), SIZE)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_every_default_is_drawn_and_keeps_the_mask_labels() -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        picture, mask = augmented(*scan(), MM_PER_PX, Augmentation(), rng, SIZE)
        assert picture.shape == mask.shape == (SIZE, SIZE)
        assert picture.dtype == mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 2}


GREY = ("shadow_share", "speckle_share", "haze_share", "blur_share", "lift_share", "codec_share", "range_share")


@pytest.mark.parametrize("name", GREY)
def test_grey_levels_change_and_the_mask_does_not(name: str) -> None:
    picture, mask = changed(3, **{name: 1.0}, lift=(6.0, 18.0))
    before, mask_before = plain()
    np.testing.assert_array_equal(mask, mask_before)
    assert np.abs(picture.astype(int) - before).mean() > 0.2


@pytest.mark.parametrize("name", ["sector_share", "turn_share", "mirror_share", "close_share"])
def test_what_moves_the_picture_moves_the_mask(name: str) -> None:
    before = plain()[1]
    moved = [changed(seed, **{name: 1.0})[1] for seed in range(4)]
    assert all((m == 2).any() and not np.array_equal(m, before) for m in moved)


def test_a_shadow_lies_behind_a_point_away_from_the_probe() -> None:
    before = plain()[0].astype(np.float32)
    for seed in range(8):
        dark = before - changed(seed, shadow_share=1.0, shadow=(0.9, 0.9))[0] > 20
        assert dark.any()
        rows = np.flatnonzero(dark.any(axis=1))
        assert before[rows[-1] + 1 :].sum() < 0.05 * before.sum(), "it ends only where the sector does"


def test_a_shadow_turns_with_the_picture() -> None:
    settings = {"shadow_share": 1.0, "shadow": (0.9, 0.9), "turn_share": 1.0}
    lit = replace(NOTHING, turn_share=1.0)
    for seed in range(8):
        geometry = draw_geometry(scan()[1], MM_PER_PX, lit, np.random.default_rng(seed), SIZE)
        dark = sampled(*scan(), geometry)[0].astype(int) - changed(seed, **settings)[0] > 40
        y, x = np.nonzero(dark)
        across, down = geometry.to_source((x + 0.5).astype(np.float32), (y + 0.5).astype(np.float32))
        angle = np.arctan2(across - geometry.apex[0], down - geometry.apex[1])
        assert len(angle)
        assert np.ptp(angle) < 0.5, "a wedge of the sector as it now lies"


def test_haze_fills_the_vessel_near_the_probe_and_leaves_the_ground_black() -> None:
    before, mask = plain()
    picture = changed(4, haze_share=1.0, haze=(90.0, 90.0))[0]
    assert picture[mask == 2].mean() > before[mask == 2].mean() + 4
    added = (picture.astype(int) - before)[:, 80:112].mean(axis=1)
    assert added[24:60].mean() > 2 * added[-60:-24].mean()
    assert picture[:60, :30].max() == 0


def test_speckle_multiplies_and_is_correlated() -> None:
    before = plain()[0].astype(np.float64)
    picture = changed(1, speckle_share=1.0, speckle=(0.2, 0.2), grain_px=(3.0, 3.0))[0]
    tissue = slice(60, 110), slice(70, 100)
    factor = picture[tissue] / before[tissue]
    assert abs(factor.mean() - 1) < 0.05
    assert 0.12 < factor.std() < 0.24
    centred = factor - factor.mean()
    assert (centred[:, 1:] * centred[:, :-1]).mean() / centred.var() > 0.5
    np.testing.assert_array_equal(picture[before == 0], 0)


def test_the_wrong_range_is_one_of_two() -> None:
    before = plain()[0]
    pictures = [changed(seed, range_share=1.0)[0] for seed in range(12)]
    limited = [np.array_equal(p, LIMITED_RANGE[before]) for p in pictures]
    full = [np.array_equal(p, FULL_RANGE[before]) for p in pictures]
    assert any(limited)
    assert any(full)
    assert all(a != b for a, b in zip(limited, full, strict=True))


def test_the_codec_leaves_blocks() -> None:
    before, picture = plain()[0].astype(int), changed(codec_share=1.0, quality=(15.0, 15.0))[0].astype(int)

    def blockiness(p: np.ndarray) -> float:
        steps = np.abs(np.diff(p, axis=1)).mean(axis=0)
        return float(steps[7::8].mean() / np.delete(steps, np.s_[7::8]).mean())

    assert blockiness(picture) > 1.3 * blockiness(before)


def test_a_close_square_is_45_mm_around_the_structures() -> None:
    close = replace(Augmentation(), close_share=1.0, side=(1.0, 1.0), shift=0.0)
    mask, rng = scan()[1], np.random.default_rng(0)
    known = [draw_geometry(mask, MM_PER_PX, close, rng, SIZE) for _ in range(300)]
    assert 45 / MM_PER_PX <= min(g.side for g in known) < 1.02 * 45 / MM_PER_PX
    assert 0.98 * SIDE < max(g.side for g in known) <= SIDE
    closest = min(known, key=lambda g: g.side)
    at = closest.to_source(np.float32([SIZE / 2]), np.float32([SIZE / 2]))
    np.testing.assert_allclose(np.ravel(at), (150.5, 140.5), atol=2)
    unknown = [draw_geometry(mask, None, close, rng, SIZE) for _ in range(300)]
    assert SIDE / 2.5 <= min(g.side for g in unknown) < 1.02 * SIDE / 2.5


def test_turns_are_of_any_angle() -> None:
    turned = replace(Augmentation(), turn_share=1.0)
    rng, mask = np.random.default_rng(0), scan()[1]
    angles = np.array([draw_geometry(mask, None, turned, rng, SIZE).turn for _ in range(400)])
    counts = np.histogram(angles, 8, (0, 2 * np.pi))[0]
    assert counts.sum() == 400
    assert counts.min() > 25


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"haze_share": 1.5}, "haze_share is 1.5"),
        ({"gain": (9.0, 3.0)}, "gain is"),
        ({"side": (0.0, 1.0)}, "side begins at 0.0"),
        ({"close_multiple": 0.5}, "close_multiple below 1"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Augmentation(**wrong)  # type: ignore[arg-type]
