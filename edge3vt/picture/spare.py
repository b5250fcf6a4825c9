"""Pictures to draw into that nobody looks at any more."""

from __future__ import annotations

import sys

import numpy as np

from edge3vt.core.frame import Pixels

MOST = 4  # are kept: more are in use at once only where a sink lags
_OURS = 2  # references to a kept picture: the list's, and the one that is counted with


class Spares:
    """Pictures of one maker. Memory that the system has to find costs more than drawing a 1024x768 picture's ground.

    One is given again only when no one else holds it, nor a view of it, which CPython's count of references tells. A
    picture that is kept elsewhere, however long, is never drawn over.
    """

    def __init__(self) -> None:
        self._kept: list[Pixels] = []

    def take(self, height: int, width: int) -> Pixels:
        """(height, width, 3), whatever it holds: the caller's as long as the caller, or anyone else, has it."""
        shape = (height, width, 3)
        for index in range(len(self._kept)):
            if sys.getrefcount(self._kept[index]) == _OURS and self._kept[index].shape == shape:
                return self._kept[index]
        picture = np.empty(shape, np.uint8)
        self._kept = [*self._kept[-(MOST - 1) :], picture]
        return picture
