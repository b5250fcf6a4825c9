"""The gate: believable views pass after a few frames, everything else is withheld with its reason."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.anatomy import CLASS_NAMES, Structure
from edge3vt.core.frame import Crop
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.cine import Scene
from edge3vt.stream.gate import Gate, GateRules, implausible
from edge3vt.stream.lane import LaneResult

SURE = (0.99,) * len(CLASS_NAMES)


def view_mask(seed: int = 1) -> tuple[Mask, float]:
    """The true mask of a phantom on a 384 grid, and the edge of its pixels in mm."""
    scene = Scene(seed, 384, 384)
    return scene.truth(0.0), scene.mm_per_px


def result(mask: Mask | None, view: float | None = 3.0, epoch: int = 0) -> LaneResult:
    crop = Crop(0, 0, 384, 384)
    return LaneResult(0, 0, epoch, 0, crop, mask, SURE, view, "m-1", 0, 0, 0, "" if mask is not None else "NaN")


def test_a_view_is_shown_after_n_of_m_frames_and_hidden_at_the_first_doubt() -> None:
    gate, (mask, mm) = Gate(CLASS_NAMES), view_mask()
    needed = GateRules().needed
    answers = [gate.judge(result(mask), mm) for _ in range(needed)]
    assert all(answers[:-1])
    assert answers[-1] == ""
    assert gate.judge(result(mask, view=-2.0), mm) == "not the 3VT view"
    assert gate.judge(result(mask), mm) == "", "one doubtful frame hides itself only"


def test_a_new_epoch_starts_from_nothing() -> None:
    gate, (mask, mm) = Gate(CLASS_NAMES), view_mask()
    for _ in range(5):
        gate.judge(result(mask), mm)
    assert gate.judge(result(mask, epoch=1), mm).startswith("view seen in 1 of")


@pytest.mark.parametrize("seed", range(12))
def test_true_masks_of_phantoms_are_plausible_with_and_without_scale(seed: int) -> None:
    mask, mm = view_mask(seed)
    for cell_mm in (mm, None):
        assert implausible(mask, SURE, cell_mm, GateRules()) == ""


def test_a_missing_vessel_a_lost_score_and_a_wrong_order_are_refused() -> None:
    mask, mm = view_mask()
    for vessel in (Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA):
        without = np.where(mask == vessel, 0, mask).astype(np.uint8)
        assert implausible(without, SURE, mm, GateRules()).endswith("not found")
    unsure = tuple(0.3 if c == Structure.AORTIC_ARCH else 0.9 for c in range(len(CLASS_NAMES)))
    assert implausible(mask, unsure, mm, GateRules()) == "aortic arch not found"
    swapped = mask.copy()
    swapped[mask == Structure.AORTIC_ARCH] = Structure.SUPERIOR_VENA_CAVA
    swapped[mask == Structure.SUPERIOR_VENA_CAVA] = Structure.AORTIC_ARCH
    assert implausible(swapped, SURE, mm, GateRules()) == "vessels out of order"


def test_sizes_no_fetus_has_are_refused() -> None:
    mask, mm = view_mask()
    assert implausible(mask, SURE, mm / 8, GateRules()).endswith("too small")
    assert implausible(mask, SURE, mm * 8, GateRules()).endswith("too large")
    huge = np.full((64, 64), Structure.PULMONARY_ARTERY, np.uint8)
    huge[:8, :8], huge[:8, -8:] = Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA
    assert implausible(huge, SURE, None, GateRules()) == "pulmonary artery too large"


def test_without_a_mask_nothing_is_shown() -> None:
    assert Gate(CLASS_NAMES).judge(result(None), None) == "no mask"


def test_with_other_classes_the_rules_of_the_view_do_not_apply() -> None:
    gate, empty = Gate(("background", "nerve", "vessel")), np.zeros((384, 384), np.uint8)
    assert [gate.judge(result(empty), None) for _ in range(3)][-1] == ""
