"""How much masks change from one picture of a cine to the next, beyond what the truth does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge3vt.core.metrics import PerClass, confusion, dice
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import Item


@dataclass(frozen=True, slots=True)
class CineFlicker:
    """A cine's pairs of neighbouring pictures. By structure; None where none was found.

    change: mean of 1 - Dice between the two masks that were found, over the pairs where one of them holds it. flicker:
    mean of the same less that of the two true masks, over those of these pairs that are labelled.
    """

    id: str
    patient: str
    pairs: int
    labelled: int
    change: dict[str, float | None]
    flicker: dict[str, float | None]


class FlickerWatch:
    """Fed with the pictures of cines, each cine's in order; a gap between two frames starts anew."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self._last: tuple[tuple[str, str], int, Mask, Mask | None] | None = None
        self._changes: dict[tuple[str, str], list[PerClass]] = defaultdict(list)
        self._flickers: dict[tuple[str, str], list[PerClass]] = defaultdict(list)

    def see(self, item: Item, found: Mask, truth: Mask | None) -> None:
        """The masks of the next picture; one of no cine is passed over."""
        if item.cine is None or item.frame is None:
            return
        key = (item.patient, item.cine)
        if self._last is not None and self._last[:2] == (key, item.frame - 1) and self._last[2].shape == found.shape:
            _, _, found_before, truth_before = self._last
            own = self._change(found_before, found)
            self._changes[key].append(own)
            if truth is not None and truth_before is not None:
                self._flickers[key].append(own - np.nan_to_num(self._change(truth_before, truth)))
        self._last = key, item.frame, found, truth

    def cines(self) -> tuple[CineFlicker, ...]:
        """What was seen, one for each cine with a pair."""
        return tuple(
            CineFlicker(
                key[1],
                key[0],
                len(changes),
                len(self._flickers[key]),
                self._means(changes),
                self._means(self._flickers[key]),
            )
            for key, changes in self._changes.items()
        )

    def _change(self, one: Mask, other: Mask) -> PerClass:
        """NaN where both are empty."""
        return np.asarray(1 - dice(confusion(one, other, len(self._classes))), dtype=np.float64)

    def _means(self, pairs: Sequence[PerClass]) -> dict[str, float | None]:
        table = np.array(pairs).reshape(-1, len(self._classes))
        means: dict[str, float | None] = {}
        for label, name in enumerate(self._classes[1:], start=1):
            values = table[~np.isnan(table[:, label]), label]
            means[name] = round(float(values.mean()), 6) if len(values) else None
        return means
