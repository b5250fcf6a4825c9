"""Simulated readers, who draw a study's pictures as the phantom's annotators do: to try a study end to end.

They see the true mask, which no reader does: what they read is simulated, and tells nothing of people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge3vt.clinic.desk import StudyDesk
from edge3vt.clinic.outline import contours_of
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.annotator import Annotator
from edge3vt.viewer.drawing import Contour, Drawing

SECONDS_ALONE, SECONDS_WITH_AI = 60.0, 35.0  # a case; our own choice, as is the spread
_SPREAD = 0.3  # SD of their logarithm


@dataclass(frozen=True, slots=True)
class SimulatedReader:
    """How somebody draws. follow: how probable it is that a given contour is left as it is, whatever it shows."""

    hand: Annotator
    follow: float

    def draw(
        self,
        true: Mask,
        mm_per_px: float,
        given: tuple[Contour, ...] | None,
        classes: tuple[str, ...],
        structures: tuple[str, ...],
        rng: np.random.Generator,
    ) -> Drawing:
        """One case: what is not followed is drawn by hand."""
        own = contours_of(self.hand.annotate(true, mm_per_px, rng), classes, structures)
        drawn: list[Contour] = []
        for name in structures:
            theirs = [contour for contour in given or () if contour.structure == name]
            followed = bool(theirs) and rng.uniform() < self.follow
            drawn += theirs if followed else [contour for contour in own if contour.structure == name]
        middle = SECONDS_ALONE if given is None else SECONDS_WITH_AI
        seconds = round(float(middle * np.exp(rng.normal(0, _SPREAD))), 1)
        seen = {contour.structure for contour in drawn}
        return Drawing(tuple(drawn), seconds, True, tuple(name for name in structures if name not in seen))


def read_session(
    desk: StudyDesk,
    reader: SimulatedReader,
    truth: Callable[[str], tuple[Mask, float]],
    rng: np.random.Generator,
) -> None:
    """Read every case on the desk; truth: the true mask of a case, and its mm per px."""
    for case in desk.cases:
        true, mm_per_px = truth(case)
        drawing = reader.draw(true, mm_per_px, desk.given(case), desk.study.classes, desk.structures, rng)
        desk.save(case, drawing)


def steady(bias_mm: float, jitter_mm: float) -> Annotator:
    """A hand of known bias and spread along the boundary's normal, that misses nothing and mistakes nothing."""
    return Annotator(jitter_mm, 1.5, bias_mm, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
