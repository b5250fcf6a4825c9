"""What the keys of the window do: to what the operator sees, and else."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from edge3vt.picture.view import SIDES, View

Command = Literal["", "snapshot", "wrong", "region", "full screen", "help", "close"]

OPACITIES = (0.1, 0.25, 0.4, 0.55, 0.7)
LIST = (
    ("F1 or h", "this list"),
    ("space", "overlay on and off"),
    ("c", "contours only"),
    ("+ and -", "more and less opaque"),
    ("1 to 9", "one structure on and off, 0: all on"),
    ("b", "untouched picture beside it"),
    ("l", "where the left of the fetus lies"),
    ("s", "snapshot"),
    ("m", "mask wrong: keep it for training"),
    ("r", "the box around the found region is right"),
    ("f or F11", "full screen"),
    ("Esc", "close the window"),
)
_COMMANDS: dict[str, Command] = {
    "f1": "help",
    "h": "help",
    "s": "snapshot",
    "m": "wrong",
    "r": "region",
    "f": "full screen",
    "f11": "full screen",
    "escape": "close",
}


def pressed(key: str, view: View, epoch: int) -> tuple[View, Command]:
    """The view after a key, by SDL's name of it, while a picture of ``epoch`` is shown, and what else to do."""
    view = view.at(epoch)
    key = key.removeprefix("[").removesuffix("]")  # SDL's names of the number pad
    match key:
        case "space":
            return replace(view, hidden=not view.hidden), ""
        case "c":
            return replace(view, contour_only=not view.contour_only), ""
        case "+" | "=" | "-":
            nearest = min(range(len(OPACITIES)), key=lambda i: abs(OPACITIES[i] - view.opacity))
            step = min(max(nearest + (-1 if key == "-" else 1), 0), len(OPACITIES) - 1)
            return replace(view, opacity=OPACITIES[step]), ""
        case "b":
            return replace(view, beside=not view.beside), ""
        case "l":
            return replace(view, fetal_left=SIDES[(SIDES.index(view.fetal_left) + 1) % len(SIDES)]), ""
        case "0":
            return replace(view, off=frozenset()), ""
        case _ if len(key) == 1 and key in "123456789":
            return replace(view, off=view.off ^ {int(key)}), ""
    return view, _COMMANDS.get(key, "")
