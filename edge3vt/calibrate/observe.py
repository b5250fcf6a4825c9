"""Observation: run the FP32 model on ONNX Runtime and keep the range of every tensor that quantisation may touch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime

from edge3vt import __version__
from edge3vt.calibrate.histogram import Histogram
from edge3vt.calibrate.table import PREPROCESSING, SCHEMA, CalibrationTable, Method, TensorRange
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.spec import INPUT, ModelSpec

OBSERVED = frozenset({"Add", "Conv", "ConvTranspose", "Gemm", "GlobalAveragePool", "MatMul", "Resize"})
"""Operators whose activation inputs are observed."""
PIXELWISE = frozenset({"Add", "Cast", "Div", "Mul", "SpaceToDepth", "Sub"})
"""Operators that only rescale or move pixels: a tensor behind nothing else has its range by arithmetic."""


def observe(
    model_bytes: bytes,
    spec: ModelSpec,
    frames: Iterable[Pixels],
    *,
    set_name: str,
    set_sha256: str | None = None,
    method: Method = "minmax",
) -> CalibrationTable:
    """The table of an FP32 model on ``frames``, (H, W) uint8 each, one at a time: memory does not grow with them.

    What comes before the first weights gets the range of all 256 grey levels, whether the frames hold them or not.
    Raises DataError for no frames or a wrong one, ArtifactError for a model that cannot run or gives no numbers.
    """
    names, pixelwise, session = _open(model_bytes)
    histograms = {name: Histogram() for name in names}
    digest = hashlib.sha256()
    count = 0
    for frame in frames:
        if frame.shape != (spec.height, spec.width) or frame.dtype != np.uint8:
            raise DataError(
                f"frame {count} of set {set_name} is {frame.dtype} {frame.shape}, "
                f"expected uint8 ({spec.height}, {spec.width}); crop and resize it first"
            )
        pixels = np.ascontiguousarray(frame)
        digest.update(pixels.data)
        for name, values in zip(names, session.run(names, {INPUT: pixels[None, None]}), strict=True):
            try:
                histograms[name].add(values)
            except ValueError as error:
                raise ArtifactError(
                    f"{spec.name}: tensor {name} is {error} on frame {count} of set {set_name}; train or export again"
                ) from error
        count += 1
    if not count:
        raise DataError(f"set {set_name} holds no frames; calibration needs at least one")
    levels = np.resize(np.arange(256, dtype=np.uint8), spec.input_shape)
    exact = dict(zip(pixelwise, session.run(pixelwise, {INPUT: levels}), strict=True)) if pixelwise else {}
    ranges = {name: histogram.range(method) for name, histogram in histograms.items()}
    ranges |= {name: TensorRange(float(values.min()), float(values.max())) for name, values in exact.items()}
    return CalibrationTable(
        schema=SCHEMA,
        model=spec.model_id,
        model_sha256=sha256_bytes(model_bytes),
        set_name=set_name,
        set_sha256=set_sha256,
        frames_sha256=digest.hexdigest(),
        frames=count,
        preprocessing=PREPROCESSING,
        method=method,
        made_by=f"edge3vt {__version__}",
        ranges=ranges,
    )


def _open(model_bytes: bytes) -> tuple[list[str], list[str], onnxruntime.InferenceSession]:
    """The observed tensors, those of them that are still pixels, and the model with them as further outputs."""
    try:
        model = onnx.load_from_string(model_bytes)
        graph = model.graph
        made = {output for node in graph.node for output in node.output}
        taken = (name for node in graph.node if node.op_type in OBSERVED for name in node.input)
        names = list(dict.fromkeys(name for name in taken if name in made))
        pixelwise = _pixelwise(graph)
        outputs = {output.name for output in graph.output}
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # protobuf and ONNX Runtime each have a tree of their own
        raise ArtifactError(f"the model cannot be observed ({_line(error)}); export it again") from error
    return names, [name for name in names if name in pixelwise], session


def _pixelwise(graph: onnx.GraphProto) -> set[str]:
    """Tensors that are pixels, rescaled or moved by constants."""
    constants = {tensor.name for tensor in graph.initializer}
    found = {INPUT}
    for node in graph.node:
        activations = {name for name in node.input if name and name not in constants}
        if node.op_type in PIXELWISE and len(activations) == 1 and activations <= found:
            found.update(node.output)
    return found


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
