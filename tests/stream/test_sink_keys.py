from __future__ import annotations

import pytest

from edge3vt.picture.view import View
from edge3vt.stream.sinks.keys import LIST, OPACITIES, pressed


def after(*keys: str, epoch: int = 0) -> View:
    view = View()
    for key in keys:
        view, command = pressed(key, view, epoch)
        assert command == ""
    return view


@pytest.mark.parametrize(
    ("keys", "view"),
    [
        (["space"], View(hidden=True)),
        (["space", "space"], View()),
        (["c"], View(contour_only=True)),
        (["b"], View(beside=True)),
        (["1", "4", "[1]"], View(off=frozenset({4}))),
        (["1", "2", "0"], View()),
        (["+"], View(opacity=0.4)),
        (["-", "-", "-"], View(opacity=OPACITIES[0])),
        (["+"] * 9, View(opacity=OPACITIES[-1])),
        (["l"], View(fetal_left="left")),
        (["l", "l"], View(fetal_left="up")),
        (["l"] * 5, View()),
        (["x", "left shift"], View()),
    ],
)
def test_what_keys_do_to_the_view(keys: list[str], view: View) -> None:
    assert after(*keys) == view


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("f1", "help"),
        ("h", "help"),
        ("s", "snapshot"),
        ("m", "wrong"),
        ("r", "region"),
        ("f", "full screen"),
        ("escape", "close"),
    ],
)
def test_what_else_keys_do(key: str, command: str) -> None:
    assert pressed(key, View(), 0) == (View(), command)


def test_the_fetal_left_is_set_for_one_epoch_only() -> None:
    view = after("l", "l", epoch=2)
    assert pressed("c", view, 3)[0] == View(contour_only=True, epoch=3)


def test_every_key_of_the_list_does_something() -> None:
    shown = " ".join(key for key, _ in LIST).lower()
    for key in ("f1", "space", "b", "l", "s", "m", "r", "f11", "esc", "+", "-"):
        assert key in shown
    for key in ("f1", "h", "space", "c", "+", "-", "1", "9", "b", "l", "s", "m", "r", "f", "f11", "escape"):
        assert pressed(key, View(), 0) != (View(), "")
