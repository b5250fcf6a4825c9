from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.engine.fake import FakeSession
from edge3vt.engine.manifest import ENGINE, VerifyReport, read
from edge3vt.engine.recipe import VerifyLimits
from edge3vt.engine.verify import IS_VIEW, compare, verify, view_differences
from edge3vt.stream.gate import GateRules
from tests import nets
from tests.engine.test_manifest import reseal

SIZE = 64
SPEC = nets.spec(SIZE)
GOLDEN = nets.pictures(4, SIZE, seed=3)


class Altered(FakeSession):
    """A fake whose logits are changed after each run."""

    def __init__(self, gain: float = 1.0, shift: float = 0.0, *, silent: bool = False) -> None:
        super().__init__(SPEC)
        self._gain, self._shift, self._silent = gain, shift, silent

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        if self._silent:
            return
        super().run(pixels, logits, view)
        logits *= self._gain
        logits[:, 0] += self._shift


def report(engine: FakeSession, **limits: float) -> VerifyReport:
    return compare(engine, FakeSession(SPEC), FakeSession(SPEC), GOLDEN, VerifyLimits(**limits))


def test_the_same_answers_agree_fully() -> None:
    same = report(FakeSession(SPEC))
    assert (same.passed, same.reasons, same.frames) == (True, (), 4)
    assert (same.agreement, same.mean_error, same.peak_error, same.view_difference) == (1, 0, 0, 0)
    assert same.dice["background"] == same.dice["pulmonary_artery"] == 1
    assert same.dice["spine"] is None


def test_a_blank_mask_is_refused_whatever_the_limits() -> None:
    blank = report(Altered(shift=1000), min_agreement=0, min_dice=0, max_mean_error=1e6, max_peak_error=1e6)
    assert not blank.passed
    assert blank.reasons == ("the engine's masks are blank: one class everywhere",)


def test_golden_frames_on_which_fp32_finds_nothing_prove_nothing() -> None:
    black = [np.zeros((SIZE, SIZE), np.uint8)]
    useless = compare(FakeSession(SPEC), FakeSession(SPEC), FakeSession(SPEC), black, VerifyLimits())
    assert [reason.partition(" on ")[0] for reason in useless.reasons] == ["FP32 finds one class only"]


def test_nan_and_unwritten_outputs_are_refused_and_the_report_is_still_a_document() -> None:
    for engine in (FakeSession(SPEC, faults={2: "nan"}), Altered(silent=True)):
        broken = report(engine, min_agreement=0, min_dice=0)
        assert "the engine gives NaN or infinity" in broken.reasons
        assert broken.mean_error is broken.peak_error is broken.view_difference is None


def test_an_fp32_model_that_gives_nan_is_refused() -> None:
    with pytest.raises(ArtifactError, match="the FP32 model itself gives NaN"):
        compare(FakeSession(SPEC), FakeSession(SPEC, faults={1: "nan"}), FakeSession(SPEC), GOLDEN, VerifyLimits())


def test_each_limit_gives_its_reason() -> None:
    wrong = report(Altered(gain=-1), max_mean_error=0.1)
    texts = " ".join(wrong.reasons)
    for part in (
        "agreement with FP32 is 0.0",
        "Dice of background",
        "Dice of pulmonary_artery",
        "mean error is 2.0000",
        "peak error is 2.0000",
    ):
        assert part in texts
    other_view = report(FakeSession(SPEC, view=9.0), max_view_difference=0.5)
    assert other_view.reasons == ("the view logit differs by 1.000, at most 0.5 was asked for",)
    slow = report(FakeSession(SPEC), min_speedup=1000)
    assert [reason.endswith("1000 times was asked for") for reason in slow.reasons] == [True]


def test_of_the_view_logit_counts_what_nine_in_ten_keep_and_what_the_gate_makes_of_it() -> None:
    apart = [(3.0, 3.1)] * 18 + [(9.0, 7.0)] * 2
    difference, changes = view_differences(apart)
    assert (difference, changes) == (pytest.approx(0.1), 0)
    assert view_differences([*apart, (9.0, 7.0)])[0] == 2.0  # three of 21
    assert view_differences([(2.0, 1.0)] * 4)[0] == view_differences([(1.0, 1.0)] * 3 + [(2.0, 1.0)])[0] == 1.0
    assert view_differences([(0.0, -0.01), (0.0, 0.0), (-1.0, -2.0), (1.0, 2.0)])[1] == 0.25
    assert GateRules().view_logit == IS_VIEW
    other = report(FakeSession(SPEC, view=-1.0), max_view_difference=99.0, max_view_changes=0.5)
    assert other.view_changes == 1
    assert other.reasons == (
        "100.0% of the frames change between the view and not the view, at most 50.0% was asked for",
    )
    assert report(FakeSession(SPEC, view=-1.0), max_view_difference=99.0, max_view_changes=1.0).passed


def test_a_small_difference_passes_and_is_told() -> None:
    near = report(Altered(gain=1.01))
    assert near.passed
    assert near.mean_error == pytest.approx(0.01, rel=1e-3)
    assert near.peak_error == pytest.approx(0.01, rel=1e-3)


def test_frames_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(DataError, match="no golden frames"):
        compare(FakeSession(SPEC), FakeSession(SPEC), FakeSession(SPEC), [], VerifyLimits())
    with pytest.raises(DataError, match=r"golden frame 0 is uint8 \(32, 32\), expected uint8 \(64, 64\)"):
        compare(FakeSession(SPEC), FakeSession(SPEC), FakeSession(SPEC), [np.zeros((32, 32), np.uint8)], VerifyLimits())


def test_a_sound_engine_passes_and_its_speed_is_of_one_run(engine: Path, fp32: bytes) -> None:
    found = verify(engine, fp32, GOLDEN)
    assert found.passed, found.reasons
    assert found.agreement > 0.9
    assert min(found.speed.engine_ms, found.speed.fp32_ms, found.speed.referee_ms) > 0
    assert found.speedup == pytest.approx(found.speed.fp32_ms / found.speed.engine_ms)


def test_an_engine_of_another_model_is_refused(engine: Path) -> None:
    with pytest.raises(ArtifactError, match=r"made from another model .*edge3vt build small"):
        verify(engine, nets.student(SIZE, seed=1), GOLDEN)


def test_a_swapped_engine_is_refused_and_even_a_resealed_one_fails(engine: Path, fp32: bytes) -> None:
    other = nets.student(SIZE, seed=1)
    (engine / ENGINE).write_bytes(other)
    with pytest.raises(ArtifactError, match=r"engine\.onnx: .* were built"):
        verify(engine, fp32, GOLDEN)
    document = json.loads((engine / "manifest.json").read_text())
    files = document["files"] | {ENGINE: {"sha256": sha256_bytes(other), "size": len(other), "role": "engine"}}
    reseal(engine, files=files, chain=document["chain"] | {"engine": sha256_bytes(other)})
    assert read(engine).source_sha256 == sha256_bytes(fp32)
    found = verify(engine, fp32, GOLDEN)
    assert not found.passed
    assert found.agreement < 0.6
