"""One contract for every session: each runtime in each precision, and the fake."""

from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.errors import ArtifactError, BackendMissingError, EngineError
from edge3vt.core.session import Session
from edge3vt.engine import open as module
from edge3vt.engine.fake import FakeSession
from edge3vt.engine.manifest import ENGINE, GOLDEN, MANIFEST, Target, read
from edge3vt.engine.open import open_engine, open_model, runtime_version
from edge3vt.engine.shelf import engines_in
from edge3vt.engine.verify import verify
from tests import nets
from tests.engine.test_manifest import reseal

SIZE = 64
KINDS = ["onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "openvino-int8", "fake"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def session(kind: str, fp32: bytes, int8: bytes) -> Iterator[Session]:
    runtime, _, precision = kind.partition("-")
    if runtime == "openvino":
        pytest.importorskip("openvino")
    model = int8 if precision == "int8" else fp32
    opened = FakeSession(nets.spec(SIZE)) if kind == "fake" else open_model(model, nets.spec(SIZE), runtime)  # type: ignore[arg-type]
    yield opened
    opened.close()


def buffers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    spec = nets.spec(SIZE)
    logits, view = np.full(spec.logits_shape, np.nan, np.float32), np.full((1, 1), np.nan, np.float32)
    return np.zeros(spec.input_shape, np.uint8), logits, view


def test_a_run_fills_the_callers_buffers(session: Session, kind: str, fp32: bytes) -> None:
    assert session.spec == nets.spec(SIZE)
    pixels, logits, view = buffers()
    pixels[0, 0] = nets.pictures(1, SIZE, seed=3)[0]
    before = pixels.copy()
    session.run(pixels, logits, view)
    assert np.isfinite(logits).all()
    assert np.isfinite(view).all()
    np.testing.assert_array_equal(pixels, before)
    if kind == "fake":
        return
    _, exact, exact_view = buffers()
    open_model(fp32, nets.spec(SIZE), "onnxruntime").run(pixels, exact, exact_view)
    allowed = 1e-4 if "fp32" in kind else 0.06
    assert np.abs(logits - exact).mean() <= allowed * np.abs(exact).mean()
    assert abs(view - exact_view) <= allowed


def test_the_same_buffers_again_and_other_buffers_give_each_pictures_answer(session: Session) -> None:
    pictures = nets.pictures(2, SIZE, seed=3)
    pixels, logits, view = buffers()
    answers = []
    for picture in (*pictures, *pictures):
        pixels[0, 0] = picture
        session.run(pixels, logits, view)
        answers.append(logits.copy())
    np.testing.assert_array_equal(answers[:2], answers[2:])
    assert not np.array_equal(answers[0], answers[1])
    others = buffers()
    others[0][0, 0] = pictures[0]
    session.run(*others)
    np.testing.assert_array_equal(others[1], answers[0])
    np.testing.assert_array_equal(logits, answers[3])


def test_the_view_logit_need_not_be_asked_for(session: Session) -> None:
    pixels, logits, view = buffers()
    session.run(pixels, logits, view)
    logits.fill(np.nan)
    session.run(pixels, logits)
    assert np.isfinite(logits).all()


def test_unfit_buffers_are_refused(session: Session) -> None:
    pixels, logits, view = buffers()
    sealed = logits.copy()
    sealed.flags.writeable = False
    wide = np.zeros((1, 1, SIZE, 2 * SIZE), np.uint8)
    for unfit in (
        (pixels[:, :, 1:], logits, view),
        (pixels.astype(np.float32), logits, view),
        (wide[..., ::2], logits, view),
        (pixels, logits.astype(np.float64), view),
        (pixels, sealed, view),
        (pixels, logits, view[0]),
    ):
        with pytest.raises(EngineError, match=r"the buffer for .*, expected contiguous, writable"):
            session.run(*unfit)
    session.run(pixels, logits, view)


def test_a_closed_session_says_so(session: Session) -> None:
    session.close()
    session.close()
    with pytest.raises(EngineError, match="the session is closed"):
        session.run(*buffers())


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_bytes_that_a_runtime_cannot_open_are_refused_in_one_line(runtime: str) -> None:
    pytest.importorskip(runtime)
    with pytest.raises(ArtifactError, match="cannot open it") as caught:
        open_model(b"nonsense", nets.spec(SIZE), runtime)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_missing_runtime_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "edge3vt.engine.openvino", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendMissingError, match=r"OpenVINO cannot be imported here .*edge3vt\[openvino\]"):
        runtime_version("openvino")


def test_an_engine_folder_opens_through_a_pickled_callable(engine: Path) -> None:
    open_it = pickle.loads(pickle.dumps(partial(open_engine, engine)))
    session = open_it()
    pixels, logits, view = buffers()
    session.run(pixels, logits, view)
    assert np.isfinite(logits).all()


def test_a_flipped_bit_anywhere_is_refused_before_a_runtime_sees_it(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge3vt.engine.open._backend", lambda _: pytest.fail("a runtime was asked"))
    sound = (engine / ENGINE).read_bytes()
    for place in (0, len(sound) // 3, len(sound) // 2, len(sound) - 1):
        damaged = bytearray(sound)
        damaged[place] ^= 1 << place % 8
        (engine / ENGINE).write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"engine\.onnx: SHA-256 is .*edge3vt build small"):
            open_engine(engine)


def test_another_target_is_refused_naming_both_and_the_remedy(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = read(engine).target
    monkeypatch.setattr(module, "_backend", lambda _: pytest.fail("a runtime was asked"))
    facts = there.facts | {"instruction sets": "avx2"}
    for here, message in (
        (Target("0.1", there.facts), f"built for onnxruntime version {there.runtime_version}, here is 0.1"),
        (Target(there.runtime_version, facts), f"for instruction sets {there.facts['instruction sets']}, here is avx2"),
        (Target(there.runtime_version, {"system": there.facts["system"]}), "here is unknown"),
    ):
        monkeypatch.setattr(module, "target", lambda _, here=here: here)
        with pytest.raises(ArtifactError, match=rf"{message}; build it again: edge3vt build small -o .* --overwrite"):
            open_engine(engine)


def test_an_engine_that_was_never_verified_is_refused(engine: Path) -> None:
    reseal(engine, verify=None, files={ENGINE: json.loads((engine / MANIFEST).read_text())["files"][ENGINE]})
    (engine / GOLDEN).unlink()
    with pytest.raises(ArtifactError, match="the engine was never verified; build it again"):
        open_engine(engine)


def test_what_was_checked_is_what_is_loaded(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is replaced after it was read changes nothing."""
    sound = (engine / ENGINE).read_bytes()
    loaded = []

    def replaced(model: bytes, *arguments: object) -> Session:
        loaded.append(model)
        return open_model(model, *arguments)  # type: ignore[arg-type]

    def target(runtime: object) -> Target:
        (engine / ENGINE).write_bytes(nets.student(SIZE, seed=1))
        return read_target

    read_target = read(engine).target
    monkeypatch.setattr(module, "target", target)
    monkeypatch.setattr(module, "open_model", replaced)
    open_engine(engine).close()
    assert loaded == [sound]


def test_a_session_whose_answers_are_blank_is_closed_and_refused(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blank(FakeSession):
        def run(self, pixels: np.ndarray, logits: np.ndarray, view: np.ndarray | None = None) -> None:
            super().run(pixels, logits, view)
            logits[:, 0] = 1000

    blank = Blank(nets.spec(SIZE))
    monkeypatch.setattr(module, "open_model", lambda *_: blank)
    with pytest.raises(ArtifactError, match="a blank mask on golden frame 0"):
        open_engine(engine)
    with pytest.raises(EngineError, match="closed"):
        blank.run(*buffers())


def test_an_engine_half_replaced_by_a_killed_build_is_put_back(engine: Path) -> None:
    engine.rename(engine.with_name(".small.old"))
    engine.with_name(".small.part").mkdir()
    open_engine(engine).close()
    assert sorted(path.name for path in engine.parent.iterdir()) == ["small"]


def test_an_engine_is_opened_until_its_last_day(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = json.loads((engine / MANIFEST).read_text(encoding="utf-8"))["recipe"] | {"not_after": "2027-06-30"}
    reseal(engine, recipe=recipe)
    monkeypatch.setattr(module, "wall_label", lambda: "2027-06-30T23:59:59+00:00")
    open_engine(engine).close()
    monkeypatch.setattr(module, "wall_label", lambda: "2027-07-01T00:00:00+00:00")
    monkeypatch.setattr(module, "_backend", lambda _: pytest.fail("a runtime was asked"))
    late = r"release 1 of small was to be opened until 2027-06-30, and today is 2027-07-01; import a newer one"
    for opening in (open_engine, lambda folder: verify(folder, b"", [])):
        with pytest.raises(ArtifactError, match=late):
            opening(engine)
    assert re.search(late, engines_in(engine.parent, engine.parent / "slots")[0].refused or "")
