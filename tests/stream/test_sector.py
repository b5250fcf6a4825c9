"""Leaps of the picture, and two pictures side by side."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.frame import Pixels
from edge3vt.stream import sector as module
from edge3vt.stream.sector import Sector

SHAPE = (40, 80)


def moving(i: float) -> Pixels:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    levels = 90 + 50 * np.sin(x / 9 + i / 15) * np.cos(y / 7)
    return (levels + np.random.default_rng(round(i * 100)).normal(0, 10, SHAPE)).astype(np.uint8)


def leaps(pictures: list[Pixels]) -> list[int]:
    sector, found = Sector(), []
    for i, levels in enumerate(pictures):
        sector.add(levels)
        if sector.leapt:
            found.append(i)
    return found


def test_motion_that_grows_is_no_leap_and_another_picture_is() -> None:
    steady = [moving(i + i * i / 40) for i in range(60)]
    assert leaps(steady) == []
    assert leaps([*steady[:30], *[moving(i)[:, ::-1] // 2 for i in range(10)]]) == [30]


def test_without_a_few_pictures_before_nothing_is_a_leap() -> None:
    assert leaps([moving(0), moving(0) // 2]) == []


def test_the_check_on_motion_sees_a_limit_that_is_too_low(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAP", "LEAP_TYPICAL", "LEAP_BEFORE"):
        monkeypatch.setattr(module, name, 0.01)
    assert leaps([moving(i + i * i / 40) for i in range(60)])


def dual(levels: Pixels) -> bool:
    sector = Sector()
    for _ in range(6):
        sector.add(levels)
    return sector.dual


def test_two_fans_that_meet_below_are_two() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    one = (np.abs(x - 40) < 8 + y).astype(np.uint8) * 90
    two = ((np.abs(x - 20) < 4 + y / 2) | (np.abs(x - 60) < 4 + y / 2)).astype(np.uint8) * 90
    gap = np.full(SHAPE, 90, np.uint8)
    gap[:, 39:41] = 0
    assert not dual(one)
    assert dual(two)
    assert dual(gap)
    assert not dual(np.full(SHAPE, 90, np.uint8))
    assert not dual(np.zeros(SHAPE, np.uint8))


def test_a_half_without_contact_is_not_two() -> None:
    levels = np.full(SHAPE, 90, np.uint8)
    levels[:, 30:] = 0
    assert not dual(levels)


def test_a_region_of_a_few_pixels_raises_nothing() -> None:
    assert not dual(np.full((1, 1), 90, np.uint8))
