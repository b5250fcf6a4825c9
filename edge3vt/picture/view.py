"""What the operator wants to see of the overlay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from edge3vt.picture.outline import FILL

Side = Literal["", "left", "up", "right", "down"]
SIDES: tuple[Side, ...] = ("", "left", "up", "right", "down")


@dataclass(frozen=True, slots=True)
class View:
    """opacity: of the fill, 0 to 1. off: structures not to draw. beside: the untouched picture on the left.

    fetal_left: where on the screen the left of the fetus lies, as the operator set it for ``epoch``; empty for unset.
    """

    hidden: bool = False
    opacity: float = FILL
    contour_only: bool = False
    off: frozenset[int] = frozenset()
    beside: bool = False
    fetal_left: Side = ""
    epoch: int = 0

    def at(self, epoch: int) -> View:
        """The view of pictures of ``epoch``: what was said of the fetus before a change is forgotten."""
        return self if epoch == self.epoch else replace(self, epoch=epoch, fetal_left="")

    @property
    def fill(self) -> float:
        return 0.0 if self.contour_only else self.opacity
