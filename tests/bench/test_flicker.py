from __future__ import annotations

import numpy as np
import pytest

from edge3vt.bench.flicker import FlickerWatch
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.metrics import confusion, dice
from edge3vt.data.dataset import Dataset
from tests.bench.painted import anatomy, painted_set

STILL, MOVED = anatomy(0), np.roll(anatomy(0), 2, axis=0)
CHANGE = 1 - float(dice(confusion(STILL, MOVED, 6))[1])


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return painted_set(tmp_path_factory.mktemp("painted") / "set", patients=1, empty=0, cine=5)


@pytest.fixture
def watch() -> FlickerWatch:
    return FlickerWatch(CLASS_NAMES)


def test_a_mask_that_follows_the_truth_changes_but_does_not_flicker(painted: Dataset, watch: FlickerWatch) -> None:
    for item in painted.items:
        watch.see(item, painted.mask(item), painted.mask(item))
    (cine,) = watch.cines()
    assert (cine.id, cine.patient, cine.pairs, cine.labelled) == ("c", "moving", 4, 4)
    assert cine.change["trachea"] == pytest.approx(CHANGE, abs=1e-3)
    assert cine.flicker["trachea"] == 0


def test_a_mask_that_jumps_while_nothing_moves_flickers(painted: Dataset, watch: FlickerWatch) -> None:
    cine = [item for item in painted.items if item.cine]
    for item, found in zip(cine, (STILL, MOVED, STILL, MOVED, STILL), strict=True):
        watch.see(item, found, STILL)
    (seen,) = watch.cines()
    assert seen.flicker == seen.change
    assert seen.flicker["trachea"] == pytest.approx(CHANGE, abs=1e-6)


def test_a_structure_that_comes_and_goes_is_all_change(painted: Dataset, watch: FlickerWatch) -> None:
    cine = [item for item in painted.items if item.cine]
    gone = np.where(STILL == 4, 0, STILL).astype(np.uint8)
    for item, found in zip(cine, (STILL, gone, gone, STILL, STILL), strict=True):
        watch.see(item, found, gone)
    (seen,) = watch.cines()
    assert seen.change["trachea"] == pytest.approx(2 / 3)  # of four pairs one holds no trachea
    assert seen.flicker["trachea"] == pytest.approx(2 / 3)
    assert seen.change["spine"] == 0


def test_what_is_never_found_is_missed_and_does_not_flicker(painted: Dataset, watch: FlickerWatch) -> None:
    for item in painted.items:
        mask = painted.mask(item)
        watch.see(item, np.where(mask == 4, 0, mask).astype(np.uint8), mask)
    (seen,) = watch.cines()
    assert (seen.change["trachea"], seen.flicker["trachea"]) == (None, None)
    assert seen.flicker["spine"] == 0


def test_a_gap_is_no_pair_and_what_has_no_label_no_flicker(painted: Dataset, watch: FlickerWatch) -> None:
    cine = [item for item in painted.items if item.cine]
    for item in (cine[0], cine[1], cine[3], cine[4]):
        watch.see(item, STILL, None if item is cine[4] else STILL)
    (seen,) = watch.cines()
    assert (seen.pairs, seen.labelled) == (2, 1)


def test_single_pictures_are_passed_over(painted: Dataset, watch: FlickerWatch) -> None:
    for item in [item for item in painted.items if item.cine is None]:
        watch.see(item, STILL, STILL)
    assert watch.cines() == ()
