"""The gate: believable views pass after a few frames, everything else is withheld with its reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.core.anatomy import CLASS_NAMES, Structure
from edge3vt.core.frame import Crop
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.anatomy import VARIANTS
from edge3vt.phantom.cine import Scene
from edge3vt.picture.crop import track
from edge3vt.picture.mask import make_mask
from edge3vt.stream.gate import Gate, GateRules, sound
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


def test_a_vessel_that_flickers_out_does_not_make_the_overlay_blink_and_one_that_is_gone_hides_it() -> None:
    mask, mm = view_mask()
    gone = np.where(mask == Structure.SUPERIOR_VENA_CAVA, 0, mask).astype(np.uint8)
    gate = Gate(CLASS_NAMES)
    assert [gate.judge(result(gone), mm) for _ in range(2)] == ["superior vena cava not found"] * 2, "none shown yet"
    for _ in range(4):
        gate.judge(result(mask), mm)
    patience = GateRules().patience
    assert [gate.judge(result(gone), mm) for _ in range(patience)] == [""] * patience
    assert gate.judge(result(mask), mm) == ""
    assert [gate.judge(result(gone), mm) for _ in range(patience)] == [""] * patience
    assert gate.judge(result(gone), mm) == "superior vena cava not found"
    assert gate.judge(result(mask), mm).startswith("view seen in"), "and has to be seen again"


def test_patience_is_with_missing_vessels_only() -> None:
    mask, mm = view_mask()
    for bad, scale, view in (
        (swapped(mask, Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA), mm, 3.0),
        (mask, mm * 8, 3.0),
        (mask, mm, -1.0),
        (None, mm, 3.0),
    ):
        gate = Gate(CLASS_NAMES)
        assert [gate.judge(result(mask), mm) for _ in range(4)][-1] == ""
        assert gate.judge(result(bad, view=view), scale) != ""


def test_a_new_epoch_hides_what_was_shown() -> None:
    mask, mm = view_mask()
    gone = np.where(mask == Structure.SUPERIOR_VENA_CAVA, 0, mask).astype(np.uint8)
    gate = Gate(CLASS_NAMES)
    assert [gate.judge(result(mask), mm) for _ in range(4)][-1] == ""
    assert gate.judge(result(gone, epoch=1), mm) == "superior vena cava not found"


def test_a_doubt_that_was_asked_already_is_not_looked_for_again() -> None:
    mask, mm = view_mask()
    gate = Gate(CLASS_NAMES)
    assert gate.doubt(result(mask), mm) == ""
    assert gate.judge(result(mask), mm, None, "not the 3VT view") == "not the 3VT view"


def test_a_new_epoch_starts_from_nothing() -> None:
    gate, (mask, mm) = Gate(CLASS_NAMES), view_mask()
    for _ in range(5):
        gate.judge(result(mask), mm)
    assert gate.judge(result(mask, epoch=1), mm).startswith("view seen in 1 of")


def doubt(mask: Mask, mm: float | None, scores: tuple[float, ...] = SURE, whole_px: int | None = None) -> str:
    """What the gate says of it alone."""
    return Gate(CLASS_NAMES).doubt(replace(result(mask), scores=scores), mm, whole_px)


@pytest.mark.parametrize("seed", range(24))
def test_true_masks_of_every_variant_are_believed_with_and_without_scale(seed: int) -> None:
    scene = Scene(seed, 384, 384, variant=VARIANTS[seed % len(VARIANTS)])
    for mm in (scene.mm_per_px, None):
        assert doubt(scene.truth(0.0), mm) == ""


def test_a_left_vena_cava_beyond_the_artery_is_no_disorder() -> None:
    scene = next(s for s in (Scene(i, 384, 384, variant="left_svc") for i in range(40)) if _both_ways(s))
    assert doubt(scene.truth(0.0), scene.mm_per_px) == ""


def _both_ways(scene: Scene) -> bool:
    """Whether the middle of both cavae lies where no single one could."""
    mask = scene.truth(0.0)
    artery, arch, cava = (np.argwhere(mask == s).mean(axis=0) for s in (1, 2, 3))
    across = cava - artery
    return float((arch - artery) @ across / (across @ across)) < 0.05


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("known", [True, False])
def test_a_track_crop_is_judged_in_mm_or_in_shares_of_the_acquire_square(seed: int, known: bool) -> None:
    """A square three times as close: the same vessels, nine times as many cells."""
    scene = Scene(seed, 1152, 1152, weeks=34.0, variant="normal")
    truth, mm = scene.truth(0.0), scene.mm_per_px
    crop = track(truth, Crop(0, 0, 1152, 1152), scene.region, 384, mm)
    assert crop is not None
    crop = replace(crop, side=384)  # a mask pixel is a pixel of the frame
    middle = np.argwhere(truth == Structure.AORTIC_ARCH).mean(axis=0).astype(int)
    y, x = (int(np.clip(m - 192, 0, 1152 - 384)) for m in middle)
    near = replace(result(truth[y : y + 384, x : x + 384].copy()), crop=replace(crop, x=x, y=y))
    gate = Gate(CLASS_NAMES)
    assert gate.doubt(near, mm if known else None, 1152) == ""
    if known:
        assert gate.doubt(near, mm / 9, 1152).endswith("too small")
    else:
        assert gate.doubt(near, None, 384 * 60).endswith("too small"), "of a far larger square it is a speck"


def test_a_missing_vessel_a_lost_score_and_a_wrong_order_are_refused() -> None:
    mask, mm = view_mask()
    for vessel in (Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA):
        without = np.where(mask == vessel, 0, mask).astype(np.uint8)
        assert doubt(without, mm).endswith("not found")
    unsure = tuple(0.3 if c == Structure.AORTIC_ARCH else 0.9 for c in range(len(CLASS_NAMES)))
    assert doubt(mask, mm, unsure) == "aortic arch not found"
    assert doubt(swapped(mask, Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA), mm) == "vessels out of order"


def swapped(mask: Mask, one: Structure, other: Structure) -> Mask:
    out = mask.copy()
    out[mask == one], out[mask == other] = other, one
    return out


def test_the_vena_cava_is_the_furthest_from_the_spine() -> None:
    """Else right in every way: artery, arch and cava exchanged end for end keep the arch between the other two."""
    mask, mm = view_mask()
    turned = swapped(mask, Structure.PULMONARY_ARTERY, Structure.SUPERIOR_VENA_CAVA)
    assert doubt(turned, mm) == "vessels out of order"
    unseen = np.where(turned == Structure.SPINE, 0, turned).astype(np.uint8)
    assert doubt(unseen, mm) == "", "without a spine nobody can tell"


def test_sizes_no_fetus_has_are_refused() -> None:
    mask, mm = view_mask()
    assert doubt(mask, mm / 8).endswith("too small")
    assert doubt(mask, mm * 8).endswith("too large")
    huge = np.full((384, 384), Structure.PULMONARY_ARTERY, np.uint8)
    huge[:40, :40], huge[:40, -40:] = Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA
    assert doubt(huge, None) == "pulmonary artery too large"


def test_a_view_that_is_no_number_is_not_the_view() -> None:
    mask, mm = view_mask()
    assert Gate(CLASS_NAMES).judge(result(mask, view=float("nan")), mm) == "not the 3VT view"


def test_results_that_never_come_are_not_judged_and_change_nothing() -> None:
    gate, (mask, mm) = Gate(CLASS_NAMES), view_mask()
    spaced = [replace(result(mask), index=index) for index in (0, 5, 11)]
    assert [gate.judge(one, mm) for one in spaced][-1] == ""


NOISE = np.random.default_rng(3)
EMPTY = np.zeros((384, 384), np.uint8)


@pytest.mark.parametrize(
    ("garbage", "said"),
    [
        (result(np.zeros((96, 96), np.uint8)), "(96, 96)"),
        (result(np.zeros((384, 384), np.int64)), "int64"),  # type: ignore[arg-type]
        (result(np.full((384, 384), 2, np.uint8)), "class 2 everywhere"),
        (result(np.full((384, 384), 9, np.uint8)), "label 9 of 6"),
        (result(NOISE.integers(0, 6, (384, 384)).astype(np.uint8)), "83% of the picture are structures"),
        (result(EMPTY, view=float("nan")), "view logit of nan"),
        (result(EMPTY, view=float("inf")), "view logit of inf"),
        (replace(result(EMPTY), scores=(float("nan"),) * 6), "no probabilities"),
        (replace(result(EMPTY), scores=(1e9,) * 6), "no probabilities"),
        (replace(result(EMPTY), scores=(0.9,) * 5), "5 scores"),
    ],
)
def test_garbage_loses_its_mask_and_says_why(garbage: LaneResult, said: str) -> None:
    judged = sound(garbage, len(CLASS_NAMES))
    assert judged.mask is None
    assert judged.error.startswith("the engine's output is garbage: ")
    assert said in judged.error
    assert (judged.index, judged.crop) == (garbage.index, garbage.crop)
    assert Gate(CLASS_NAMES).judge(judged, 0.3) == "no mask"


def test_what_a_working_engine_gives_passes_as_it_is() -> None:
    true, _ = view_mask()
    for fine in (result(true), result(EMPTY), result(None), result(true, view=None)):
        assert sound(fine, len(CLASS_NAMES)) is fine
    bright = replace(result((np.indices((384, 384)).sum(axis=0) % 9 > 0).astype(np.uint8)), scores=(0.9, 0.9))
    assert sound(bright, 2) is bright, "how much of a picture other classes fill is not known"


@pytest.mark.parametrize("seed", range(20))
def test_noise_for_logits_is_never_drawn(seed: int) -> None:
    """Fault 14, at every scale of noise and of its grain: garbage, or not believed."""
    rng = np.random.default_rng(seed)
    grain = int(rng.choice([1, 4, 16]))
    logits = rng.normal(0, float(rng.choice([0.1, 1, 10, 100])), (1, 6, 96 // grain, 96 // grain)).astype(np.float32)
    logits[:, 0] += float(rng.choice([0, 5, 50]))
    mask, scores = make_mask(np.kron(logits, np.ones((1, 1, grain, grain), np.float32)).astype(np.float32), 4)
    gate = Gate(CLASS_NAMES)
    for _ in range(5):
        judged = sound(replace(result(mask), scores=scores), len(CLASS_NAMES))
        assert judged.error or gate.judge(judged, 0.3)


def test_without_a_mask_nothing_is_shown() -> None:
    assert Gate(CLASS_NAMES).judge(result(None), None) == "no mask"


def test_with_other_classes_the_rules_of_the_view_do_not_apply() -> None:
    gate, empty = Gate(("background", "nerve", "vessel")), np.zeros((384, 384), np.uint8)
    assert [gate.judge(result(empty), None) for _ in range(3)][-1] == ""
