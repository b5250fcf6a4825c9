"""Rules of the linter about operators, opsets, types and shapes."""

from __future__ import annotations

from onnx import TensorProto

from edge3vt.calibrate.quantisation import INFERRED, PAIR, PARSER
from edge3vt.calibrate.rule import EVERY, Problems, Rule, Subject, TargetName, version_of
from edge3vt.calibrate.wiring import attribute

OPSETS = {(8, 6): 17, (10, 3): 20, (10, 13): 24, (10, 16): 24, (11, 4): 24}
"""The last opset that each TensorRT is documented to read; of 10.16 and 11.4: as 10.13, at the least."""
STANDARD = ("", "ai.onnx")
CONVOLUTIONS = ("Conv", "ConvTranspose")


def _opset(subject: Subject, target: TargetName) -> Problems:
    last = OPSETS[version_of(target)]
    if subject.opset > last:
        yield None, f"opset {subject.opset}, {target} is documented to read up to {last}"


def _types(subject: Subject, target: TargetName) -> Problems:
    layers = [node for node in subject.nodes if node.op_type in (*CONVOLUTIONS, "Gemm", "MatMul")]
    full = [node for node in layers if subject.kinds.get(node.output[0]) == TensorProto.FLOAT]
    if full:
        yield None, f"{len(full)} of {len(layers)} layers are typed FP32"


def _antialias(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type == "Resize" and attribute(node, "antialias"):
            yield node, "Resize with antialias"


def _deformable(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type == "DeformConv":
            yield node, "DeformConv"


def _custom(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.domain not in STANDARD:
            yield node, f"{node.op_type} of the domain {node.domain}"


def _dynamic(subject: Subject, target: TargetName) -> Problems:
    for value in subject.model.graph.input:
        shape = subject.shapes.get(value.name)
        if value.name not in subject.wiring.constants and (shape is None or 0 in shape):
            sizes = ", ".join(d.dim_param or str(d.dim_value or "?") for d in value.type.tensor_type.shape.dim)
            yield None, f"input {value.name} is ({sizes})"


def _uint8_inside(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        taken = [name for name in node.input if subject.kinds.get(name) == TensorProto.UINT8]
        if taken and node.op_type not in (*(PAIR), "Cast") and not node.op_type.startswith("QLinear"):
            yield node, f"{node.op_type} of the uint8 tensor {taken[0]}"


def _channels(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type not in CONVOLUTIONS or attribute(node, "group", 1) != 1 or len(node.input) < 2:
            continue
        step = 32 if subject.dequantised(node.input[0]) else 8
        ends = [subject.shapes.get(name, ()) for name in (node.input[0], node.output[0])]
        found = [shape[1] for shape in ends if len(shape) > 1 and shape[1] % step]
        if found:
            bits = "INT8" if step == 32 else "FP16"
            yield node, f"{' and '.join(map(str, found))} channels, no multiple of {step} ({bits})"


def _depthwise(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type in CONVOLUTIONS and attribute(node, "group", 1) > 1 and subject.dequantised(node.input[0]):
            yield node, f"quantised convolution in {attribute(node, 'group', 1)} groups"


def _half(subject: Subject, target: TargetName) -> Problems:
    layers = [node for node in subject.nodes if node.op_type in CONVOLUTIONS]
    half = [node for node in layers if subject.kinds.get(node.output[0]) == TensorProto.FLOAT16]
    if half:
        yield None, f"{len(half)} of {len(layers)} convolutions are typed FP16"


RULES = (
    Rule(
        "opset",
        "error",
        ("tensorrt",),
        "a parser reads no operators newer than it",
        "export with an older opset, or quantise with flavour tensorrt-fp32, which converts to opset 17",
        "NVIDIA, TensorRT release notes; onnx-tensorrt",
        _opset,
    ),
    Rule(
        "custom-operator",
        "error",
        EVERY,
        "only standard operators are read everywhere, and engines hold no others",
        "export with standard operators",
        PARSER,
        _custom,
    ),
    Rule(
        "resize-antialias",
        "error",
        ("tensorrt",),
        "the parser rejects it",
        "resize without antialias, or by a strided convolution or pooling",
        PARSER,
        _antialias,
    ),
    Rule(
        "deform-conv",
        "error",
        ("tensorrt",),
        "the parser rejects it",
        "train with plain convolutions",
        PARSER,
        _deformable,
    ),
    Rule(
        "dynamic-size",
        "error",
        ("tensorrt",),
        "it parses, and the build fails without an optimisation profile",
        "export with the size fixed, batch 1",
        "tried on TensorRT-RTX 1.7.1",
        _dynamic,
    ),
    Rule(
        "types",
        "warning",
        ("tensorrt",),
        "TensorRT 11 takes types at their word: what is FP32 runs in FP32",
        "quantise with flavour tensorrt-fp16",
        "NVIDIA, TensorRT 11 migration guide",
        _types,
        since=(11, 0),
    ),
    Rule(
        "uint8-inside",
        "error",
        ("tensorrt",),
        "uint8 is for inputs and outputs only, and an operator on it is rejected",
        "cast the input to floats before anything else",
        "NVIDIA, TensorRT developer guide; tried on TensorRT-RTX 1.7.1",
        _uint8_inside,
    ),
    Rule(
        "channels",
        "warning",
        ("tensorrt",),
        "tensor cores take 32 channels at a time in INT8, 8 in FP16; the rest is padding",
        "choose widths that are multiples; input and logits cannot help it",
        INFERRED,
        _channels,
    ),
    Rule(
        "depthwise",
        "warning",
        ("tensorrt",),
        "convolutions in groups gain little from INT8",
        "keep the layer in floats, or use plain convolutions",
        INFERRED,
        _depthwise,
    ),
    Rule(
        "half-on-cpu",
        "warning",
        ("onnxruntime",),
        "its CPU provider computes FP16 in FP32: nothing is gained, and casts stand around every Q/DQ pair",
        "run the FP32 model, or quantise with flavour cpu",
        "measured with the shipped student: FP32 24 ms, FP16 24 ms, tensorrt-fp16 73 ms, cpu 12 ms",
        _half,
    ),
)
