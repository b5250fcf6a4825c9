from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

import edge3vt
from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.table import Method
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError, DataError
from tests import nets

SIZE = 64
MODEL = nets.student(SIZE)
SPEC = nets.spec(SIZE)


def test_minmax_is_the_range_of_every_input_of_a_quantised_operator() -> None:
    frames = nets.pictures(3, SIZE)
    table = observe(MODEL, SPEC, frames, set_name="some", method="minmax")
    graph = onnx.load_from_string(MODEL).graph
    made = {node.output[0] for node in graph.node}
    operators = [node for node in graph.node if node.op_type in ("Conv", "Add", "Resize", "GlobalAveragePool")]
    assert {name for node in operators for name in node.input if name in made} <= set(table.ranges)

    model = onnx.load_from_string(MODEL)
    model.graph.output.append(onnx.ValueInfoProto(name="skip1"))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = np.stack([session.run(["skip1"], {"pixels": frame[None, None]})[0] for frame in frames])
    assert table.ranges["skip1"].min == pytest.approx(values.min(), rel=1e-6)
    assert table.ranges["skip1"].max == pytest.approx(values.max(), rel=1e-6)
    assert table.ranges["stage0.0.relu"].min == 0


def test_the_table_is_bound_to_model_and_frames() -> None:
    frames = nets.pictures(2, SIZE)
    table = observe(MODEL, SPEC, iter(frames), set_name="some")
    assert (table.model_sha256, table.model, table.frames) == (sha256_bytes(MODEL), "test-net-1", 2)
    assert (table.set_sha256, table.made_by) == (None, f"edge3vt {edge3vt.__version__}")
    assert table == observe(MODEL, SPEC, frames, set_name="some")
    assert observe(MODEL, SPEC, frames, set_name="some", set_sha256="5" * 64).set_sha256 == "5" * 64
    changed = [frames[0], frames[1].copy()]
    changed[1][0, 0] ^= 1
    assert table.frames_sha256 != observe(MODEL, SPEC, changed, set_name="some").frames_sha256


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
def test_every_other_method_lies_within_minmax_and_cuts_something(method: Method) -> None:
    frames = nets.pictures(16, SIZE)
    found = observe(MODEL, SPEC, frames, set_name="some", method=method)
    minmax = observe(MODEL, SPEC, frames, set_name="some").ranges
    assert found.method == method
    assert all(minmax[name].min <= found.ranges[name].min for name in minmax)
    assert all(found.ranges[name].max <= minmax[name].max for name in minmax)
    assert sum(found.ranges[name].max < minmax[name].max for name in minmax) > len(minmax) / 3


@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_the_input_has_the_range_of_all_grey_levels_though_the_pictures_are_dark(method: Method) -> None:
    dark = [picture // 4 for picture in nets.pictures(2, SIZE)]
    ranges = observe(MODEL, SPEC, dark, set_name="some", method=method).ranges
    assert (ranges["stem"].min, ranges["stem"].max) == (-60 / 64, (255 - 60) / 64)
    bright = observe(MODEL, SPEC, [picture * 4 for picture in dark], set_name="some", method=method).ranges
    assert ranges["skip1"].max < bright["skip1"].max


def test_only_one_frame_is_held_at_a_time() -> None:
    alive = most = 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def frames() -> Iterator[np.ndarray]:
        nonlocal alive, most
        for frame in nets.pictures(6, SIZE):
            mine = frame.copy()
            weakref.finalize(mine, gone)
            alive += 1
            most = max(most, alive)
            yield mine
            del mine

    assert observe(MODEL, SPEC, frames(), set_name="some").frames == 6
    assert most <= 2
    kept = list(frames())
    assert most == len(kept) == 6


def test_frames_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(DataError, match="set some holds no frames"):
        observe(MODEL, SPEC, [], set_name="some")
    wrong = np.zeros((SIZE, SIZE + 1), np.uint8)
    with pytest.raises(DataError, match=r"frame 1 of set some is uint8 \(64, 65\), expected uint8 \(64, 64\)"):
        observe(MODEL, SPEC, [wrong[:, :SIZE], wrong], set_name="some")


def test_a_model_that_gives_no_numbers_is_refused() -> None:
    model = onnx.load_from_string(MODEL)
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "stage1.0.weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(np.inf), weight.name))
    with pytest.raises(ArtifactError, match=r"test-net: tensor stage1\.0\.relu is not finite on frame 0"):
        observe(model.SerializeToString(), SPEC, nets.pictures(1, SIZE), set_name="some")


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(ArtifactError, match="the model cannot be observed"):
        observe(b"\xff\xfe" * 20, SPEC, nets.pictures(1, SIZE), set_name="some")
