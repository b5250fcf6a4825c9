"""The measure of realism: it finds the sector, ignores the furniture, and sees what is unlike."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from edge3vt.bench.realism import KINDS, TARGET, main, phantom_screens, real_screens, realism, sheet, statistics
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.picture.images import read_image, write_image
from edge3vt.picture.screen import Screen

HEIGHT, WIDTH = 330, 440
REAL = Path(__file__).parents[3] / "shared" / "data" / "screens"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="real screens are not here")


def sector() -> NDArray[np.bool_]:
    corners = np.array([[150, 50], [300, 50], [420, 310], [40, 310]])
    return cv2.fillConvexPoly(np.zeros((HEIGHT, WIDTH), np.uint8), corners, 1) > 0


def tissue(seed: int, grain: float = 2.5) -> Pixels:
    """Log-compressed speckle with dark ellipses, (HEIGHT, WIDTH), black outside the sector."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    amplitude = np.exp(ndimage.gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), 12) * 12)
    for _ in range(5):
        at, half = rng.uniform((120, 80), (330, 290)), rng.uniform(10, 40, 2)
        amplitude[((x - at[0]) / half[0]) ** 2 + ((y - at[1]) / half[1]) ** 2 < 1] *= 0.03
    noise = rng.standard_normal((HEIGHT, WIDTH)) + 1j * rng.standard_normal((HEIGHT, WIDTH))
    width = grain * rng.uniform(0.85, 1.15)
    echo = ndimage.gaussian_filter(noise * amplitude, (width / 2, width)) * width
    grey = 110 + rng.normal(0, 8) + 20 * np.log10(np.abs(echo) + 1e-3) * 255 / 55
    return np.where(sector(), np.clip(grey, 0, 255), 0).astype(np.uint8)


def cut(seed: int, luma: Pixels) -> Screen:
    return Screen(f"view {seed}", luma, sector())


def ellipses(seed: int) -> Pixels:
    """A drawing: flat grey with flat ellipses."""
    rng = np.random.default_rng(seed)
    picture = np.full((HEIGHT, WIDTH), 70, np.uint8)
    for level in (110, 40, 10, 0, 0):
        at, half = rng.integers((120, 80), (330, 290)), rng.integers(15, 60, 2)
        cv2.ellipse(picture, (at.tolist(), (2 * half).tolist(), float(rng.uniform(0, 180))), level, -1)
    return np.where(sector(), picture, 0).astype(np.uint8)


def noise(seed: int) -> Pixels:
    """The grey levels of tissue at places drawn by lot."""
    picture = tissue(seed)
    inside = sector()
    picture[inside] = np.random.default_rng(seed).permutation(picture[inside])
    return picture


def smooth(seed: int) -> Pixels:
    return np.where(sector(), cv2.GaussianBlur(tissue(seed), (0, 0), 6), 0).astype(np.uint8)


@pytest.fixture(scope="module")
def real() -> list[Screen]:
    return [cut(i, tissue(i)) for i in range(4)]


@pytest.fixture(scope="module")
def alike(real: list[Screen]) -> float:
    return realism(real, [cut(i, tissue(i)) for i in range(10, 18)]).ratio


def test_pictures_of_one_kind_are_as_far_apart_as_the_real_ones(alike: float) -> None:
    assert 0.7 < alike < 1.3


@pytest.mark.parametrize("made", [noise, ellipses, smooth])
def test_what_is_unlike_gets_a_clearly_larger_ratio(real: list[Screen], alike: float, made: object) -> None:
    assert callable(made)
    result = realism(real, [cut(i, made(i)) for i in range(10, 14)])
    assert result.ratio > 2 * max(alike, 1.0)
    assert min(result.ratio_without.values()) > 1.5 * max(alike, 1.0)  # not by one statistic


def test_every_statistic_has_the_same_say(real: list[Screen]) -> None:
    result = realism(real, [cut(i, tissue(i)) for i in (20, 21, 22)])
    assert set(result.by_statistic) == set(result.ratio_without) == set(statistics(real[0].luma, real[0].inside))
    assert max(abs(r - result.ratio) for r in result.ratio_without.values()) < 0.35
    assert set(result.by_phantom) == {"view 20", "view 21", "view 22"}
    assert np.median(list(result.by_phantom.values())) == pytest.approx(result.ratio)


def test_one_phantom_many_times_shows_as_too_little_variety(real: list[Screen]) -> None:
    assert realism(real, [cut(9, tissue(9))] * 3).phantom_phantom == 0


def test_copies_of_one_real_picture_are_refused(real: list[Screen]) -> None:
    with pytest.raises(DataError, match="copies of one picture"):
        realism([real[0], real[0]], real[1:])
    with pytest.raises(ValueError, match="1 real pictures"):
        realism(real[:1], real[1:])


def test_statistics_do_not_see_the_outside_and_tell_level_from_texture() -> None:
    inside = sector()
    plain = tissue(3)
    framed = np.where(inside, plain, np.random.default_rng(0).integers(0, 255, plain.shape)).astype(np.uint8)
    a, b = statistics(plain, inside), statistics(framed, inside)
    assert all(np.allclose(a[name], b[name], atol=1e-4) for name in a)
    grey = np.clip(plain, 40, 200)
    a, b = statistics(grey, inside), statistics((grey + 30).astype(np.uint8), inside)
    assert np.allclose(b["grey_levels"] - a["grey_levels"], 30)
    for name in ("bands", "along", "across", "contrast", "cooccurrence"):
        assert np.allclose(a[name], b[name], atol=1e-2), name


def test_the_axes_are_not_mixed_up() -> None:
    inside = np.ones((HEIGHT, WIDTH), bool)
    streaks = np.random.default_rng(0).normal(0, 1, (HEIGHT, WIDTH))
    streaks = ndimage.gaussian_filter1d(streaks, 6, axis=1)
    found = statistics((128 + 40 * streaks / streaks.std()).clip(0, 255).astype(np.uint8), inside)
    assert found["across"][5] > 0.5
    assert abs(found["along"][0]) < 0.1


def test_the_sheet_shows_all_at_one_scale(real: list[Screen]) -> None:
    small = Screen("small", real[0].luma, real[0].inside & (np.arange(HEIGHT) < HEIGHT // 2)[:, None])
    page = sheet(real[:2], [real[2], small], columns=2, tile_px=200)
    tall = page.shape[0] // 2
    assert page.shape[1:] == (2 * 208, 3)
    lit = [
        np.flatnonzero(page[row * tall : (row + 1) * tall - 28, column * 208 :][:, :200].max(axis=(1, 2)) > 20)
        for row in (0, 1)
        for column in (0, 1)
    ]
    assert all(len(rows) for rows in lit)
    assert lit[3][-1] < 0.6 * lit[2][-1]


def test_the_command_writes_sheet_and_figures_and_replaces_nothing(tmp_path: Path) -> None:
    folder, out = tmp_path / "real", tmp_path / "out"
    folder.mkdir()
    for i, name in enumerate(("3VV", "4CH", "LVOT")):
        write_image(folder / f"{name}.png", tissue(i))
    code = main([str(folder), str(out), "--count", "2"])
    document = json.loads((out / "realism.json").read_text())
    assert code == (0 if document["result"]["ratio"] <= 1.5 else 1)
    assert document["passed"] == (code == 0)
    assert read_image(out / "sheet.png").ndim == 3
    with pytest.raises(ConfigError, match="--overwrite"):
        main([str(folder), str(out)])
    with pytest.raises(DataError, match="no picture named 'FEMUR'"):
        main([str(folder), str(tmp_path / "other"), "--screens", "3VV", "FEMUR"])


def test_phantoms_take_turns_in_kind_and_come_again() -> None:
    first, again = phantom_screens(3, 7, WIDTH, HEIGHT), phantom_screens(3, 7, WIDTH, HEIGHT)
    assert [s.name for s in first] == [f"{kind} {7 + i}" for i, kind in enumerate(KINDS)]
    assert all(np.array_equal(a.luma, b.luma) for a, b in zip(first, again, strict=True))


@needs_real
def test_real_screens_are_near_each_other_and_noise_is_not() -> None:
    def half(s: Screen) -> Screen:
        return Screen(s.name, s.luma[::2, ::2], s.inside[::2, ::2])

    hearts, others = real_screens(REAL), real_screens(REAL, ("ABDOMINAL", "FEMUR"))
    rng = np.random.default_rng(0)
    lots = [Screen(f"noise {s.name}", rng.integers(0, 200, s.luma.shape).astype(np.uint8), s.inside) for s in hearts]
    result = realism([half(s) for s in hearts], [half(s) for s in (*others, *lots)])
    assert all(0.5 < result.by_phantom[s.name] < 1.5 for s in others)
    assert all(result.by_phantom[s.name] > 2.5 for s in lots)


@needs_real
@pytest.mark.parametrize("count", [9, pytest.param(18, marks=pytest.mark.slow)])
def test_the_phantom_stays_within_its_target_and_site_b_apart(count: int) -> None:
    real = real_screens(REAL)
    height, width = real[0].luma.shape
    a = realism(real, phantom_screens(count, 5_200_000, width, height, "A")).ratio
    b = realism(real, phantom_screens(count, 5_200_000, width, height, "B")).ratio
    assert a <= TARGET
    assert b > a + 0.2
