"""The reference: two experts merged, and a third reading where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from edge3vt.clinic.outline import Inside, insides
from edge3vt.clinic.study import Case, Study, read_reading, reading_path
from edge3vt.core.errors import DataError
from edge3vt.core.segmentation import Mask

Field = NDArray[np.float64]
_ROOM_PX = 4  # around what both drew


def overlap(one: Inside | None, two: Inside | None) -> float:
    """Dice of two drawings of a structure; 1 where neither holds it, 0 where one does."""
    a, b = (0 if each is None else int(each.sum()) for each in (one, two))
    if a + b == 0:
        return 1.0
    common = 0 if one is None or two is None else int((one & two).sum())
    return 2 * common / (a + b)


def differing(folder: Path, study: Study) -> dict[str, tuple[str, ...]]:
    """For each case the structures over which the experts' Dice is below the study's limit.

    Raises DataError where an expert is not done.
    """
    found = {}
    for case in study.cases:
        one, two = (_drawn(folder, study, expert, case) for expert in study.of("expert"))
        found[case.id] = tuple(
            name for name in study.structures if overlap(one.get(name), two.get(name)) < study.differ_below
        )
    return found


def reference(folder: Path, study: Study) -> tuple[dict[str, Mask], dict[str, tuple[str, ...]]]:
    """The reference mask of each case, and the structures that the adjudicator decided.

    Raises DataError where an expert, or the adjudicator of what differs, is not done.
    """
    masks, decided = {}, differing(folder, study)
    experts, (adjudicator,) = study.of("expert"), study.of("adjudicator")
    for case in study.cases:
        one, two = (_drawn(folder, study, expert, case) for expert in experts)
        third = _drawn(folder, study, adjudicator, case) if decided[case.id] else {}
        masks[case.id] = merged(one, two, third, decided[case.id], study.classes, (case.height, case.width))
    return masks, decided


def merged(
    one: Mapping[str, Inside],
    two: Mapping[str, Inside],
    third: Mapping[str, Inside],
    decided: Sequence[str],
    classes: Sequence[str],
    shape: tuple[int, int],
) -> Mask:
    """(H, W) class indices. What is decided is as the third reading has it, there or not; the rest is half-way.

    Half-way between two drawings is where the mean of their signed distances is below 0: Rohlfing and Maurer 2007, IEEE
    Trans Image Process 16:153-161. A pixel of two structures goes to the one in which it lies deeper.
    """
    depth, mask = np.zeros(shape), np.zeros(shape, np.uint8)
    for label, name in enumerate(classes):
        drawings = [third.get(name)] if name in decided else [one.get(name), two.get(name)]
        there = [drawing for drawing in drawings if drawing is not None and drawing.any()]
        if not there or len(there) < len(drawings):
            continue
        rows, columns = np.nonzero(np.logical_or.reduce(there))
        near = tuple(
            slice(max(int(places.min()) - _ROOM_PX, 0), int(places.max()) + _ROOM_PX + 1) for places in (rows, columns)
        )
        mean = np.mean([_signed(drawing[near]) for drawing in there], axis=0)
        deeper = mean < depth[near]
        depth[near][deeper], mask[near][deeper] = mean[deeper], label
    return mask


def _signed(inside: Inside) -> Field:
    """Distance to the edge of the pixels in px, negative inside."""
    if inside.all():
        return np.full(inside.shape, -1.0)
    within, beyond = ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside)
    return np.asarray(np.where(inside, 0.5 - within, beyond - 0.5), np.float64)


def _drawn(folder: Path, study: Study, who: str, case: Case) -> dict[str, Inside]:
    path = reading_path(folder, who, 1, case.id)
    if not path.is_file():
        raise DataError(f"{path}: {who} has not read this case; the reference needs it")
    drawing = read_reading(path).drawing
    if not drawing.done:
        raise DataError(f"{path}: {who} is not done with this case; the reference needs it")
    return insides(drawing.contours, case.width, case.height)
