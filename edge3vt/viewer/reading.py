"""The reading page: one case after another, drawn in the browser, and the desk that hands out the cases."""

from __future__ import annotations

from typing import Protocol

from edge3vt.viewer.drawing import Contour, Drawing

__all__ = ["Contour", "Desk", "Drawing"]


class Desk(Protocol):
    """What one reader of a study has on the desk. The page calls it from one thread at a time.

    structures: what has to be drawn or said not to be seen. cases: blinded ids, in this reader's order.
    """

    @property
    def title(self) -> str: ...

    @property
    def structures(self) -> tuple[str, ...]: ...

    @property
    def cases(self) -> tuple[str, ...]: ...

    def picture(self, case: str) -> bytes:
        """The picture as PNG, without anything that tells of patient, arm or reader."""
        ...

    def given(self, case: str) -> tuple[Contour, ...] | None:
        """The AI's contours to start from, () where it found nothing; None where the reader works alone."""
        ...

    def saved(self, case: str) -> Drawing | None:
        """What `save` was last given; None before."""
        ...

    def save(self, case: str, drawing: Drawing) -> None:
        """Keep it, whole or not at all, and durably: when this returns, a kill loses nothing of it."""
        ...
