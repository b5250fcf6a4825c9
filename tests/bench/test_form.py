from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from edge3vt.bench.form import resized, unnormalised
from edge3vt.core.errors import ArtifactError
from edge3vt.engine.buffers import empty
from edge3vt.engine.model import read_model
from edge3vt.engine.open import open_model

STUDENT = (Path(__file__).parents[2] / "edge3vt/assets/student-s384/student.onnx").read_bytes()


def test_a_resized_model_is_the_same_network() -> None:
    small = read_model(resized(STUDENT, 96))
    assert small.spec.logits_shape == (1, 6, 24, 24)
    again = read_model(resized(small.data, 384))
    assert again.spec == read_model(STUDENT).spec
    weights = [onnx.load_from_string(data).graph.initializer for data in (STUDENT, small.data)]
    assert [tensor.SerializeToString() for tensor in weights[0]] == [x.SerializeToString() for x in weights[1]]
    buffers, session = empty(small.spec), open_model(small.data, small.spec, "onnxruntime")
    session.run(buffers.pixels, buffers.logits, buffers.view)
    session.close()
    assert buffers.logits.any()


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ArtifactError, match="does not fit 100 px"):
        resized(STUDENT, 100)


def test_without_its_normalisation_it_takes_normalised_floats() -> None:
    plain = ort.InferenceSession(unnormalised(resized(STUDENT, 96)), providers=["CPUExecutionProvider"])
    model = read_model(resized(STUDENT, 96))
    buffers = empty(model.spec)
    buffers.pixels[:] = np.random.default_rng(1).integers(0, 256, buffers.pixels.shape)
    session = open_model(model.data, model.spec, "onnxruntime")
    session.run(buffers.pixels, buffers.logits, buffers.view)
    session.close()
    (given,) = plain.get_inputs()
    logits = plain.run(["logits"], {given.name: (buffers.pixels.astype(np.float32) - 60) / 64})[0]
    assert np.allclose(logits, buffers.logits, atol=1e-3)


def test_a_network_that_begins_otherwise_is_refused() -> None:
    proto = onnx.load_from_string(STUDENT)
    proto.graph.node[1].op_type = "Add"
    with pytest.raises(ArtifactError, match="does not begin with"):
        unnormalised(proto.SerializeToString())
