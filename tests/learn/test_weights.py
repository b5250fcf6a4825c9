"""Weights know what they are; what is damaged or of another network is refused with one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edge3vt.core.errors import ArtifactError
from edge3vt.core.spec import ModelSpec
from edge3vt.learn.networks import build
from edge3vt.learn.session import open_weights
from edge3vt.learn.weights import find_weights, initialise, load_weights, save_weights

CLASSES = ("background", "large", "small")
SPEC = ModelSpec(1, "test", "1", CLASSES, 64, 64, 4, False, True, "trained on nothing")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_weights(tmp_path / "weights.safetensors", build("student-s", 3), SPEC, "student-s")
    return tmp_path / "weights.safetensors"


def test_they_come_back_as_they_were(written: Path) -> None:
    torch.manual_seed(0)
    expected = build("student-s", 3).state_dict()
    found = load_weights(find_weights(str(written.parent)))
    assert (found.spec, found.network, found.model.training) == (SPEC, "student-s", False)
    for name, tensor in found.model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)


def test_whoever_reads_other_files_reads_weights(written: Path) -> None:
    (written.parent / "other").touch()
    assert written.stat().st_mode == (written.parent / "other").stat().st_mode


def test_a_shipped_student_is_found_by_its_name() -> None:
    assert load_weights(find_weights("student-s384")).spec.name == "student-s384"
    with pytest.raises(ArtifactError, match="did you mean 'student-s384'"):
        find_weights("student-s38")


def test_another_head_stays_and_everything_else_is_taken(written: Path) -> None:
    model = build("student-s", 6)
    assert initialise(model, written) == ["head.bias", "head.weight"]
    theirs = load_weights(written).model.state_dict()
    ours = model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if not name.startswith("head."))
    with pytest.raises(ArtifactError, match="tensors fit, so it holds another network"):
        initialise(build("unet-half", 3), written)


def test_what_is_no_weights_is_refused(written: Path, tmp_path: Path) -> None:
    data = written.read_bytes()
    written.write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtifactError, match="not weights in safetensors"):
        load_weights(written)
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ArtifactError, match="no 'edge3vt' in its metadata"):
        load_weights(tmp_path / "foreign.safetensors")
    save_weights(tmp_path / "other.safetensors", build("student-s", 2), SPEC, "student-s")
    with pytest.raises(ArtifactError, match="its weights are not those of student-s"):
        load_weights(tmp_path / "other.safetensors")


def test_a_session_of_weights_keeps_the_contract(written: Path) -> None:
    import numpy as np

    from edge3vt.core.errors import EngineError

    session = open_weights(written, 96)
    assert session.spec.input_shape == (1, 1, 96, 96)
    assert session.params_m == pytest.approx(0.6, abs=0.1)
    assert session.gmac > 0
    pixels = np.random.default_rng(0).integers(0, 255, (1, 1, 96, 96), dtype=np.uint8)
    logits = np.zeros(session.spec.logits_shape, np.float32)
    session.run(pixels, logits)
    with torch.inference_mode():
        expected = load_weights(written).model(torch.from_numpy(pixels).float())[0]
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)
    with pytest.raises(EngineError, match="expected"):
        session.run(pixels[..., :64], logits)
