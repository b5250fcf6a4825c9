"""Rules of the linter about Q/DQ: types, zero points, and where pairs stand."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from edge3vt.calibrate.qdq import weight_axis
from edge3vt.calibrate.rule import EVERY, Problems, Rule, Subject, TargetName
from edge3vt.calibrate.wiring import attribute

PAIR = ("QuantizeLinear", "DequantizeLinear")
WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
CROSSED = {"MaxPool", "Reshape", "Transpose"}
"""Operators that ONNX Runtime moves a QuantizeLinear across."""
PARSER = "onnx-tensorrt, docs/operators.md; tried on TensorRT-RTX 1.7.1, the same parser"
PLACEMENT = "NVIDIA, TensorRT developer guide, Q/DQ placement"
INFERRED = "inferred, tried on no device"


def _zero_point(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        zero = subject.constant(node.input[2]) if node.op_type in PAIR and len(node.input) > 2 else None
        if zero is not None and np.any(zero):
            yield node, f"zero point {zero.ravel()[np.flatnonzero(zero)[0]]}"


def _uint8(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type in PAIR and subject.stored_kind(node) == TensorProto.UINT8:
            given = len(node.input) > 2 and node.input[2]
            yield node, "zero point of type uint8" if given else "no zero point, which means uint8"


def _int32_bias(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type == "DequantizeLinear" and subject.stored_kind(node) == TensorProto.INT32:
            yield node, f"DequantizeLinear of int32 {node.input[0]}"


def _qoperator(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        whole = node.op_type in ("ConvInteger", "MatMulInteger", "DynamicQuantizeLinear")
        if whole or node.op_type.startswith("QLinear"):
            yield node, node.op_type


def _half_scale(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type in PAIR and subject.opset < 19 and subject.kinds.get(node.input[1]) == TensorProto.FLOAT16:
            yield node, f"a scale in FP16 at opset {subject.opset}"


def _scale(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        constant = subject.constant(node.input[1]) if node.op_type in PAIR else None
        if constant is not None:
            scale = constant.astype(np.float64).ravel()
            wrong = scale[~(np.isfinite(scale) & (scale > 0))]
            if len(wrong):
                yield node, f"scale {wrong[0]:g}"


def _per_channel(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type == "QuantizeLinear" and node.input[0] not in subject.wiring.constants:
            scale = subject.constant(node.input[1])
            if scale is not None and scale.size > 1:
                yield node, f"{scale.size} scales on the activation {node.input[0]}"


def _weight_axis(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        maker = subject.wiring.maker(node.input[1]) if node.op_type in WEIGHTED and len(node.input) > 1 else None
        if maker is None or maker.op_type != "DequantizeLinear":
            continue
        scale, axis = subject.constant(maker.input[1]), attribute(maker, "axis", 1)
        axis += len(subject.shapes.get(maker.input[0], ())) if axis < 0 else 0
        if scale is not None and scale.size > 1 and axis != weight_axis(node):
            yield maker, f"scales along axis {axis} of the weight of {node.op_type}, expected {weight_axis(node)}"


def _before_relu(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type not in ("Relu", "Clip", "LeakyRelu") or not subject.dequantised(node.input[0]):
            continue
        quantiser = subject.wiring.maker(subject.wiring.makers[node.input[0]].input[0])
        layer = subject.wiring.maker(quantiser.input[0]) if quantiser is not None else None
        if layer is not None and layer.op_type in WEIGHTED:
            yield quantiser, f"a pair between {layer.op_type} and {node.op_type}"


def _one_sided(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type in WEIGHTED:
            sides = [subject.dequantised(name) for name in node.input[:2]]
            if any(sides) and not all(sides):
                yield node, f"{'the input' if sides[0] else 'the weight'} is quantised, the other is not"


def _residual(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type == "Add" and len(node.input) == 2 and all(subject.dequantised(name) for name in node.input):
            sources = [_behind(subject, name) for name in node.input]
            if any(operator in ("Conv", "ConvTranspose") for operator in sources):
                yield node, "both inputs of a residual addition are quantised"


def _behind(subject: Subject, name: str) -> str:
    """The operator whose output a pair quantised, before it was moved."""
    quantiser = subject.wiring.maker(subject.wiring.makers[name].input[0])
    maker = subject.wiring.through_moves(quantiser.input[0]) if quantiser is not None else None
    return maker.op_type if maker is not None else ""


def _concat(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type == "Concat" and node.input and all(subject.dequantised(name) for name in node.input):
            scales = [subject.constant(subject.wiring.makers[name].input[1]) for name in node.input]
            if any(scale is not None and scale.size == 1 and scale != scales[0] for scale in scales[1:]):
                yield node, "inputs of different scales"


def _normalisation(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        layer = subject.wiring.maker(node.input[0]) if node.op_type == "BatchNormalization" else None
        if layer is not None and layer.op_type in WEIGHTED and subject.dequantised(layer.input[0]):
            yield node, f"normalises what the quantised {layer.op_type} gives"


def _signed(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type == "QuantizeLinear" and subject.stored_kind(node) == TensorProto.INT8:
            yield node, f"activation {node.input[0]} in int8"


def _unfused(subject: Subject, target: TargetName) -> Problems:
    for node in subject.nodes:
        if node.op_type != "Conv" or not all(subject.dequantised(name) for name in node.input[:2]):
            continue
        end, passed = node.output[0], {"Clip", "Relu"} | CROSSED
        takers = subject.wiring.takers.get(end, [])
        while len(takers) == 1 and takers[0].op_type in passed:
            end, passed = takers[0].output[0], CROSSED
            takers = subject.wiring.takers.get(end, [])
        floats = [taker.op_type for taker in takers if taker.op_type != "QuantizeLinear"]
        if floats:
            yield node, f"{floats[0]} takes what it gives, {end}, in floats"


RULES = (
    Rule(
        "zero-point",
        "error",
        ("tensorrt",),
        "TensorRT quantises symmetrically: its parser rejects a zero point other than 0",
        "quantise with flavour tensorrt-fp32 or tensorrt-fp16",
        PARSER,
        _zero_point,
    ),
    Rule(
        "uint8",
        "error",
        ("tensorrt",),
        "it builds, and quietly computes in int8: values beyond 127 steps are cut off",
        "quantise with flavour tensorrt-fp32 or tensorrt-fp16, whose zero points are int8",
        PARSER,
        _uint8,
    ),
    Rule(
        "int32-bias",
        "error",
        ("tensorrt",),
        "the parser rejects quantised biases",
        "keep biases in floats (ONNX Runtime's quantiser: QuantizeBias=False)",
        PARSER,
        _int32_bias,
    ),
    Rule(
        "qoperator",
        "error",
        ("tensorrt",),
        "operators that are quantised themselves are not read",
        "quantise with Q/DQ pairs (ONNX Runtime's quantiser: QuantFormat.QDQ)",
        PARSER,
        _qoperator,
    ),
    Rule(
        "half-scale",
        "error",
        EVERY,
        "scales in FP16 came with opset 19; before, the model is no valid ONNX",
        "quantise with flavour tensorrt-fp16, or keep the scales in FP32",
        "ONNX, changelog of QuantizeLinear 19; ONNX Runtime rejects it, TensorRT-RTX 1.7.1 builds it",
        _half_scale,
    ),
    Rule(
        "scale",
        "error",
        EVERY,
        "a scale divides, so it has to be above 0 and finite",
        "calibrate again and quantise from that table",
        "ONNX, QuantizeLinear",
        _scale,
    ),
    Rule(
        "activation-per-channel",
        "warning",
        ("tensorrt",),
        "it parses, but no convolution fuses with it",
        "quantise activations with one scale for the whole tensor",
        INFERRED,
        _per_channel,
    ),
    Rule(
        "weight-axis",
        "warning",
        ("tensorrt",),
        "scales of weights have to follow the output channels to be applied after the sum",
        "quantise weights along axis 0, those of ConvTranspose along 1",
        PLACEMENT,
        _weight_axis,
    ),
    Rule(
        "pair-before-relu",
        "warning",
        ("tensorrt",),
        "the pair keeps the activation from being computed inside the convolution",
        "quantise what follows the activation instead",
        PLACEMENT,
        _before_relu,
    ),
    Rule(
        "one-sided",
        "warning",
        EVERY,
        "a layer runs in 8 bits only where its input and its weight are both quantised",
        "quantise both, or keep the layer in floats",
        PLACEMENT,
        _one_sided,
    ),
    Rule(
        "residual",
        "warning",
        ("tensorrt",),
        "with both quantised the addition cannot run inside the convolution before it",
        "quantise the skip input only",
        PLACEMENT,
        _residual,
    ),
    Rule(
        "concat-scales",
        "warning",
        ("tensorrt",),
        "inputs of different scales are converted before they are joined",
        "give all inputs of one Concat the same scale",
        INFERRED,
        _concat,
    ),
    Rule(
        "normalisation",
        "warning",
        EVERY,
        "a normalisation after a quantised layer runs on its own, in floats",
        "fold it into the weights before quantising; edge3vt does",
        PLACEMENT,
        _normalisation,
    ),
    Rule(
        "signed-activation",
        "warning",
        ("onnxruntime",),
        "on x86 its CPU provider fuses no signed activations: such layers run in floats, with the pairs as ballast",
        "quantise with flavour cpu",
        "tried on ONNX Runtime 1.32; shipped student: FP32 24 ms, tensorrt-fp32 46 ms, cpu 12 ms",
        _signed,
    ),
    Rule(
        "unfused",
        "warning",
        ("onnxruntime",),
        "it fuses a convolution only where input, weight and output are quantised, and computes the others in floats",
        "quantise with flavour cpu; let convolutions feed convolutions, Add, Concat, MaxPool or Resize",
        "tried on ONNX Runtime 1.32",
        _unfused,
    ),
)
