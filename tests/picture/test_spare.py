from __future__ import annotations

import gc

import pytest

from edge3vt.picture import spare
from edge3vt.picture.spare import MOST, Spares


def test_a_picture_that_nobody_holds_is_given_again() -> None:
    spares = Spares()
    first = spares.take(6, 8)
    assert first.shape == (6, 8, 3)
    address = first.ctypes.data
    del first
    gc.collect()  # ctypes leaves a circle
    assert spares.take(6, 8).ctypes.data == address


def test_a_picture_that_is_held_is_never_given_again_nor_one_whose_view_is() -> None:
    spares = Spares()
    held = [spares.take(6, 8) for _ in range(2 * MOST)]
    assert len({id(picture) for picture in held}) == 2 * MOST
    view = held[-1][2:4]
    line = memoryview(held[-2])
    for value, picture in enumerate(held):
        picture[:] = value
    del held, picture
    again = [spares.take(6, 8) for _ in range(MOST)]
    for picture in again:
        picture[:] = 99
    assert (view == 2 * MOST - 1).all()
    assert line[0, 0, 0] == 2 * MOST - 2


def test_another_size_is_another_picture() -> None:
    spares = Spares()
    assert spares.take(6, 8).shape == (6, 8, 3)
    assert spares.take(8, 6).shape == (8, 6, 3)


def test_the_check_sees_a_count_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "_OURS", 3)
    spares = Spares()
    held = spares.take(6, 8)
    assert spares.take(6, 8) is held
