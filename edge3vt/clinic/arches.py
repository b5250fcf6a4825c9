"""The two arches and what they enclose: which of their ends is the heart's, V or U, and on which side they pass."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge3vt.clinic.confidence import Factor, Value, judged, missing, ramp
from edge3vt.clinic.vessel import Course, Piece, Points
from edge3vt.picture.view import Side

DIRECTIONS: dict[Side, tuple[float, float]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


@dataclass(frozen=True, slots=True, eq=False)
class Arch:
    """A course that begins at the heart. heart: how sure that is, and the words where it is not; width_px: median."""

    course: Course
    heart: Factor
    width_px: float


def oriented(course: Course, other: Course | None, spine: Piece | None) -> Arch:
    """The course from its heart end: the far one from the spine, or else from where the two arches come together."""
    line, width = course.line, float(np.nanmedian(course.width_px))
    words = "which of its ends is the heart's is not plain"
    if spine is not None:
        away = np.hypot(*(line[[0, -1]] - spine.at).T)
    elif other is not None:
        tips = other.line[[0, -1]]
        away = np.array([np.hypot(*(tips - tip).T).min() for tip in line[[0, -1]]])
    else:
        return Arch(course, (0.0, words), width)
    sure = ramp(abs(float(away[0] - away[1])), 0, width)
    return Arch(course if away[0] >= away[1] else course.reversed(), (sure, words), width)


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """From the back of the chest to its front. at: a point of it, x, y; front: its direction.

    by_spine: the back is the spine; else, where the two arches come together.
    """

    at: Points
    front: Points
    by_spine: bool

    def ahead(self, points: Points) -> Points:
        """(N,) how far points lie to the front."""
        ahead: Points = (points - self.at) @ self.front
        return ahead

    def aside(self, points: Points) -> Points:
        """(N,) how far points lie beside the axis, > 0 where front, x to the right and y down turn the clock's way."""
        aside: Points = (points - self.at) @ np.array([-self.front[1], self.front[0]])
        return aside


def axis(artery: Arch, aorta: Arch, spine: Piece | None) -> Axis:
    lines = artery.course.line, aorta.course.line
    back = np.mean([line[-1] for line in lines], axis=0) if spine is None else spine.at
    way = np.mean([line[0] for line in lines], axis=0) - back
    return Axis(back, way / max(float(np.hypot(*way)), 1e-9), spine is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """How an arch passes the trachea. aside: how far beside it, as in Axis; sure: that it does."""

    aside: float
    sure: Factor


def passage(arch: Arch, trachea: Piece, along: Axis, name: str) -> Passage:
    """Seen where the arch, on its way from the heart, first lies as far to the front as the trachea."""
    ahead = along.ahead(arch.course.line) - along.ahead(trachea.at)
    width = arch.width_px
    rest = ramp(-float(ahead.min()), -0.75 * width, 0.25 * width), f"the {name} ends before the trachea"
    begin = ramp(float(ahead[0]), -0.75 * width, 0.25 * width), f"the {name} does not come from before the trachea"
    at = arch.course.line[int((ahead <= 0).argmax()) if ahead.min() <= 0 else int(ahead.argmin())]
    aside = float(along.aside(at) - along.aside(trachea.at))
    touch = ramp(abs(aside), 0, (width + trachea.diameter_px) / 2), f"the {name} lies on the trachea"
    return Passage(aside, min(rest, begin, touch))


def shape(artery: Arch, aorta: Arch, trachea: Piece, duct: Passage, arch: Passage, *factors: Factor) -> Value:
    """ "U" where the trachea lies between the arches, in the loop that they make, "V" where it does not.

    The loop is what decides; that duct and arch pass on one side for a V, and on both for a U, has to agree.
    """
    loop = np.concatenate([aorta.course.line, artery.course.line[::-1]]).astype(np.float32)
    at = (float(trachea.at[0]), float(trachea.at[1]))
    inside = cv2.pointPolygonTest(loop[:, None], at, measureDist=True)
    found = "U" if inside > 0 else "V"
    alike = (duct.aside * arch.aside > 0) == (found == "V")
    return judged(
        found,
        duct.sure,
        arch.sure,
        artery.heart,
        aorta.heart,
        (ramp(abs(inside), 0, trachea.diameter_px), "the trachea lies on the line of an arch"),
        (1.0 if alike else 0.0, "the loop and the sides of the arches disagree"),
        *factors,
    )


def side_of(passing: Passage, along: Axis, left: Side, *factors: Factor) -> Value:
    """On which side of the trachea, "left" or "right" of the fetus.

    left: where on the picture the fetal left lies, as the operator set it; "" for not set, then nothing is told.
    """
    if not left:
        return missing("the fetal left is not set")
    across = float(along.aside(along.at + DIRECTIONS[left]))
    words = "the side that was set lies along the axis of the chest, not across it; set it again"
    value = "left" if across * passing.aside > 0 else "right"
    return judged(value, (ramp(abs(across), 0, 0.8), words), passing.sure, *factors)
