"""Adoption: somebody else's segmentation network in the engine contract, held against the original before it is kept.

The graph becomes: uint8 pixels -> (p / scale - mean) / std, on as many channels as the network takes -> the network,
without the softmax, sigmoid or argmax at its end -> logits. Where the background has no channel it gets the logit 0:
softmax([0, z])[1] = sigmoid(z).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge3vt.core.anatomy import ClassMap
from edge3vt.core.documents import to_json
from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.core.spec import INPUT, LOGITS, METADATA_KEY, ModelSpec
from edge3vt.engine.ending import Activation, Output, choose, peel, understood
from edge3vt.engine.foreign import Array, Input, Layout, fold, input_of, is_half, plain, read_foreign, run, select
from edge3vt.engine.model import Model, read_model

SMALLEST = 1e-7  # the probability whose logarithm is taken for that of 0
ONE_HOT = 10.0  # logit of the class that an argmax named, where the others have 0
TOLERANCE, HALF_TOLERANCE = 1e-3, 2e-2  # of a difference, as Adopted defines it; half precision has 11 bits


@dataclass(frozen=True, slots=True)
class Adoption:
    """What a network does not say of itself; None: it does.

    mean, std: one for each channel or one for all, of pixels / ``scale``. training: shown on the picture.
    """

    classes: tuple[str, ...]
    name: str
    version: str = "1"
    training: str = "trained elsewhere"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 255.0
    layout: Layout = "NCHW"
    channels: int | None = None
    size: int | None = None
    output: str | None = None
    activation: Activation | None = None

    def __post_init__(self) -> None:
        ClassMap(1, self.classes)
        if not all((*self.classes, self.name, self.version)):
            raise ConfigError("a class, --name or --version is empty; name it")
        if self.channels not in (None, 1, 3):
            raise ConfigError(f"--channels {self.channels}: expected 1 or 3")
        if not np.isfinite((*self.mean, *self.std, self.scale)).all():
            raise ConfigError("--mean, --std or --scale is not finite; correct it")
        if min(*self.std, self.scale) <= 0:
            raise ConfigError("--std or --scale is 0 or less, pixels are divided by it; correct it")


@dataclass(frozen=True, slots=True)
class Adopted:
    """difference: from the original, the largest: of probabilities, of logits over the largest of them, or, behind an
    argmax, the share of pixels with another class."""

    model: Model
    output: str
    activation: Activation
    opset: int
    difference: float


def adopt(data: bytes, asked: Adoption) -> Adopted:
    """The network in the engine contract: the same bytes for the same network and words, of one ONNX Runtime.

    Raises ArtifactError for a network that cannot be adopted or does not stay what it was, ConfigError for words
    that do not fit it.
    """
    original = read_foreign(data)
    wanted = input_of(original, asked.layout, asked.channels, asked.size)
    mean, std = (_planes(flag, values, wanted.channels) for flag, values in (("mean", asked.mean), ("std", asked.std)))
    if wanted.kind == np.uint8 and (asked.scale != 1 or mean.any() or (std != 1).any()):
        raise ConfigError("it takes uint8 pixels and normalises them itself; say --scale 1, without --mean and --std")
    pictures = _pictures(wanted.size)
    by_hand = [_normalised(picture, wanted, mean, std, asked.scale) for picture in pictures]
    if asked.output is not None:
        select(original, asked.output)
    count = len(asked.classes)
    output = choose(run(original, by_hand[:1])[0], count, asked.layout, asked.activation)
    select(original, output.name)
    truths = [answer[output.name] for answer in run(original, by_hand)]
    output = understood(original.graph, output, truths, count, asked.activation)
    inner = peel(original, output)
    inner_truths = [answer[inner.name] for answer in run(original, by_hand)]

    net = _assembled(plain(original, wanted), wanted, inner, asked, mean, std)
    found: list[Logits] = [answer[LOGITS] for answer in run(net, [picture[None, None] for picture in pictures])]
    spec = _spec(found[0].shape, wanted, asked)
    limit = HALF_TOLERANCE if is_half(original) else TOLERANCE
    difference = max(
        _difference(logits, truth, meant)
        for meant, values in ((output, truths), (inner, inner_truths))
        for logits, truth in zip(found, values, strict=True)
    )
    if not difference <= limit:
        raise ArtifactError(
            f"output {output.name} is not the same in the contract (differs by {difference:.2g}, at most {limit:g} was "
            f"expected, as {output.activation}); say --activation, or choose a tensor before it by --output"
        )
    net.graph.output[0].CopyFrom(helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, spec.logits_shape))
    helper.set_model_props(net, {METADATA_KEY: to_json(spec, indent=None).strip()})
    model = read_model(bytes(net.SerializeToString(deterministic=True)))
    return Adopted(model, output.name, output.activation, net.opset_import[0].version, difference)


def _assembled(
    net: onnx.ModelProto, wanted: Input, output: Output, asked: Adoption, mean: Array, std: Array
) -> onnx.ModelProto:
    """Pixels before the plain network, logits behind it."""
    graph = net.graph
    head = _Chain(INPUT)
    head.add("Cast", to=TensorProto.FLOAT)
    head.add("Sub", _single(mean * asked.scale))
    head.add("Mul", _single(1 / (std * asked.scale)))
    if wanted.layout == "NHWC":
        head.add("Transpose", perm=[0, 2, 3, 1])
    head.add("Cast", to=graph.input[0].type.tensor_type.elem_type)
    head.end(graph.input[0].name)

    tail = _Chain(graph.output[0].name)
    if output.rank == 3:
        tail.add("Unsqueeze", np.array([1], np.int64))
    elif output.axis == 3:
        tail.add("Transpose", perm=[0, 3, 1, 2])
    tail.add("Cast", to=TensorProto.FLOAT)
    if output.activation == "argmax":
        tail.add("Equal", np.arange(len(asked.classes), dtype=np.float32)[None, :, None, None])
        tail.add("Cast", to=TensorProto.FLOAT)
        tail.add("Mul", _single([ONE_HOT]))
    elif output.activation == "softmax":
        tail.add("Max", _single([SMALLEST]))
        tail.add("Log")
    elif output.activation == "sigmoid":  # its inverse, -log(1 / p - 1)
        tail.add("Max", _single([SMALLEST]))
        tail.add("Min", _single([1 - SMALLEST]))
        tail.add("Reciprocal")
        tail.add("Sub", _single([1]))
        tail.add("Log")
        tail.add("Neg")
    if output.fills:
        tail.add("Pad", np.array([0, 1, 0, 0, 0, 0, 0, 0], np.int64), mode="constant")
    tail.end(LOGITS)

    pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, (1, 1, wanted.size, wanted.size))
    constants = [*graph.initializer, *head.constants, *tail.constants]
    nodes = [*head.nodes, *graph.node, *tail.nodes]
    made = helper.make_graph(nodes, asked.name, [pixels], [onnx.ValueInfoProto(name=LOGITS)], constants)
    opsets = [helper.make_opsetid("", net.opset_import[0].version)]
    version = max(8, helper.find_min_ir_version_for(opsets))
    folded = fold(helper.make_model(made, opset_imports=opsets, ir_version=version))
    folded.producer_name, folded.graph.name = "edge3vt", asked.name
    return folded


class _Chain:
    """Operators in a row, each on the last one's result and at most one constant."""

    def __init__(self, start: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self._stem = start if start == INPUT else LOGITS
        self._last = start

    def add(self, operator: str, constant: Array | None = None, **attributes: Any) -> None:
        name = f"{self._stem}.{len(self.nodes)}.{operator.lower()}"
        inputs = [self._last]
        if constant is not None:
            self.constants.append(numpy_helper.from_array(constant, f"{name}.constant"))
            inputs.append(self.constants[-1].name)
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        self._last = name

    def end(self, name: str) -> None:
        self.nodes.append(helper.make_node("Identity", [self._last], [name], name=f"{self._stem}.end"))


def _spec(shape: tuple[int, ...], wanted: Input, asked: Adoption) -> ModelSpec:
    """The contract of logits of this shape. Raises ArtifactError where they do not fit a grid on the pixels."""
    _, depth, height, width = shape
    if depth != len(asked.classes):
        raise ArtifactError(f"{depth} classes come out, {len(asked.classes)} were named; name one for each")
    if height != width or wanted.size % height:
        raise ArtifactError(
            f"logits are {width} x {height} for {wanted.size} x {wanted.size} px, expected a stride that is an "
            "integer; choose another --size, a multiple of what the network divides by"
        )
    return ModelSpec(
        schema=1,
        name=asked.name,
        version=asked.version,
        classes=asked.classes,
        height=wanted.size,
        width=wanted.size,
        stride=wanted.size // height,
        has_view=False,
        full_range=True,
        training=asked.training,
    )


def _difference(logits: Logits, truth: Array, output: Output) -> float:
    """Between what the original says and what the logits mean, in its terms."""
    expected = output.in_planes(truth).astype(np.float64)
    if output.activation == "argmax":
        return float(np.mean(logits.argmax(axis=1) != expected[:, 0]))
    found = logits[:, int(output.fills) :].astype(np.float64)
    if found.shape != expected.shape or not np.isfinite((found.sum(), expected.sum())).all():
        return float("inf")
    if output.activation == "none":
        return float(np.abs(found - expected).max() / max(np.abs(expected).max(), SMALLEST))
    powers = np.exp(found - found.max(axis=1, keepdims=True))
    odds = np.exp(-np.abs(found))
    sigmoid = np.where(found < 0, odds, 1) / (1 + odds)
    probability = powers / powers.sum(axis=1, keepdims=True) if output.activation == "softmax" else sigmoid
    return float(np.abs(probability - expected).max())


def _pictures(size: int) -> list[Pixels]:
    """(size, size) each: noise, blocks and a ramp, the same always."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, size)
    blocks = np.kron(rng.integers(0, 256, (8, 8)), np.ones((-(-size // 8),) * 2))[:size, :size]
    pictures = (rng.integers(0, 256, (size, size)), blocks, (ramp + ramp[:, None]) / 2)
    return [picture.astype(np.uint8) for picture in pictures]


def _normalised(picture: Pixels, wanted: Input, mean: Array, std: Array, scale: float) -> Array:
    """What the original network takes for a picture."""
    planes = (picture[None, None].astype(np.float64) / scale - mean) / std
    return np.ascontiguousarray(planes if wanted.layout == "NCHW" else planes.transpose(0, 2, 3, 1), wanted.kind)


def _single(value: Any) -> Array:
    return np.asarray(value, np.float32)


def _planes(flag: str, values: tuple[float, ...], channels: int) -> Array:
    """(1, channels, 1, 1)."""
    if len(values) not in (1, channels):
        raise ConfigError(
            f"--{flag} has {len(values)} values, the network takes {channels} channels; give one for each"
        )
    return np.resize(np.array(values, np.float64), (1, channels, 1, 1))
