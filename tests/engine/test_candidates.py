from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge3vt.core.errors import ArtifactError, BackendMissingError, GateError
from edge3vt.core.session import Session
from edge3vt.engine.candidates import Offer, build_best
from edge3vt.engine.manifest import ENGINE, EngineManifest, open_verified
from edge3vt.engine.open import open_engine
from edge3vt.engine.recipe import Candidates, EngineRecipe, Precision, Runtime, VerifyLimits
from edge3vt.engine.verify import verify
from tests import nets
from tests.engine.conftest import LIMITS
from tests.engine.test_build import rescaled

SIZE = 64
GOLDEN = nets.pictures(4, SIZE, seed=3)
FAST = 1000.0  # Hz; a test has no time for a camera


@pytest.fixture(autouse=True)
def _no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge3vt.engine.build.probe", lambda _: None)  # test_build.py asks it


def asked(
    precisions: tuple[Precision, ...] = ("fp32", "int8"),
    runtimes: tuple[Runtime, ...] = ("onnxruntime",),
    limits: VerifyLimits = LIMITS,
) -> EngineRecipe:
    several = Candidates(precisions, runtimes, rate_hz=FAST)
    return EngineRecipe(
        1, "small", "s.onnx", precisions[0], runtimes[0], "golden", "some", verify=limits, candidates=several
    )


def offers(recipe: EngineRecipe, fp32: bytes, int8: bytes) -> list[Offer]:
    def offer(single: EngineRecipe) -> Offer:
        return Offer(single, fp32, lambda: int8 if single.precision == "int8" else fp32, GOLDEN, "w")

    return [offer(single) for single in recipe.singles()]


def test_each_is_made_verified_and_timed_and_one_is_kept_whole(fp32: bytes, int8: bytes, tmp_path: Path) -> None:
    recipe = asked()
    manifest = build_best(recipe, offers(recipe, fp32, int8), tmp_path / "engine")
    assert manifest.choice is not None
    assert manifest.choice.asked == recipe
    one, other = manifest.choice.candidates
    assert (one.name, other.name) == ("fp32", "int8")
    for candidate in (one, other):
        assert candidate.reasons == ()
        assert candidate.report is not None
        assert candidate.paced is not None
        assert candidate.paced.samples == 550
        assert candidate.paced.p99 is not None
    kept = {"fp32": fp32, "int8": int8}[manifest.choice.kept]
    assert manifest.recipe == recipe.singles()[[one.name, other.name].index(manifest.choice.kept)]
    assert manifest.verify == (one if kept == fp32 else other).report
    assert open_verified(tmp_path / "engine") == (manifest, kept)
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]
    assert verify(tmp_path / "engine", fp32, GOLDEN).passed
    open_engine(tmp_path / "engine").close()
    assert f"{manifest.choice.kept} kept: " in manifest.choice.why


def test_one_that_is_damaged_or_cannot_be_prepared_is_told_and_not_kept(
    fp32: bytes, int8: bytes, tmp_path: Path
) -> None:
    recipe = asked()
    bad = rescaled(int8, "stem.scale", 0.25)
    manifest = build_best(recipe, offers(recipe, fp32, bad), tmp_path / "one")
    assert manifest.choice is not None
    assert manifest.choice.kept == "fp32"
    assert manifest.choice.candidates[1].paced is not None  # that it was faster may be what one wants to know
    assert any("asked for" in reason for reason in manifest.choice.candidates[1].reasons)

    def refuses() -> bytes:
        raise ArtifactError("FP16 ends at 65504")

    given = offers(recipe, fp32, int8)
    given[1] = replace(given[1], prepare=refuses)
    manifest = build_best(recipe, given, tmp_path / "two")
    assert manifest.choice is not None
    assert manifest.choice.candidates[1].reasons == ("FP16 ends at 65504",)
    assert manifest.choice.candidates[1].report is None
    assert (tmp_path / "two" / ENGINE).read_bytes() == fp32


def test_where_none_holds_nothing_is_left_and_what_was_there_stays(
    engine: Path, fp32: bytes, int8: bytes, tmp_path: Path
) -> None:
    before = (engine / ENGINE).read_bytes()
    recipe = asked(limits=VerifyLimits(min_agreement=1.0, max_mean_error=-1.0))
    with pytest.raises(GateError, match=r"no candidate holds its limits: fp32: .*mean error is"):
        build_best(recipe, offers(recipe, fp32, int8), engine, overwrite=True)
    assert (engine / ENGINE).read_bytes() == before
    assert [path.name for path in engine.parent.iterdir()] == [engine.name]


def test_a_runtime_that_is_not_here_is_one_that_does_not_hold(
    fp32: bytes, int8: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "edge3vt.engine.openvino", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    recipe = asked(("int8",), ("openvino", "onnxruntime"))
    manifest = build_best(recipe, offers(recipe, fp32, int8), tmp_path / "engine")
    assert manifest.choice is not None
    assert manifest.choice.kept == "onnxruntime"
    assert "OpenVINO cannot be imported here" in manifest.choice.why
    only = asked(("fp32", "int8"), ("openvino",))
    with pytest.raises(BackendMissingError, match="OpenVINO cannot be imported here"):
        build_best(only, offers(only, fp32, int8), tmp_path / "other")


def test_one_below_the_truth_that_is_asked_for_is_not_kept(fp32: bytes, int8: bytes, tmp_path: Path) -> None:
    recipe = asked()

    def judged(dice: float) -> Callable[[Session], float]:
        return lambda session: dice

    given = [replace(o, judge=judged(d)) for o, d in zip(offers(recipe, fp32, int8), (0.80, 0.79), strict=True)]
    manifest = build_best(recipe, given, tmp_path / "engine", least_dice=0.795)
    assert manifest.choice is not None
    assert manifest.choice.kept == "fp32"
    assert manifest.choice.candidates[1].reasons == ("Dice to the truth is 0.790, at least 0.795 was asked for",)


def test_one_that_is_there_and_serves_is_kept(fp32: bytes, int8: bytes, tmp_path: Path) -> None:
    recipe = asked()

    def build(keep: Callable[[EngineManifest], bool]) -> EngineManifest:
        return build_best(recipe, offers(recipe, fp32, int8), tmp_path / "engine", overwrite=True, keep=keep)

    first = build(lambda _: False)
    assert build(lambda found: found == first) == first
    assert build(lambda _: False).release == 2
