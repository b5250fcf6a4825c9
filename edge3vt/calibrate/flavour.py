"""Flavours: where quantisation stands in a graph, and in which types, for each family of runtimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Flavour = Literal["cpu", "tensorrt-fp32", "tensorrt-fp16"]
MIN_OPSET = 13  # the first with scales per channel
MANY = 1_000  # all inputs of an operator
LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True)
class Scheme:
    """activations: quantised operators, and how many of their first inputs are activations; ``Add`` with 1 stands
    for the skip input of a residual addition. weighted: those whose input 1 is a weight. opsets: lowest and highest,
    into which a model is converted."""

    activations: Mapping[str, int]
    weighted: frozenset[str]
    signed: bool
    half: bool
    opsets: tuple[int, int | None]


_CPU = Scheme(
    activations={"Conv": 1, "Add": 2, "Concat": MANY, "MaxPool": 1, "Resize": 1, "GlobalAveragePool": 1},
    weighted=frozenset({"Conv"}),
    signed=False,
    half=False,
    opsets=(MIN_OPSET, None),
)
_TENSORRT_ACTIVATIONS = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "Add": 1}
_TENSORRT_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm"})
_TENSORRT_FP32 = Scheme(_TENSORRT_ACTIVATIONS, _TENSORRT_WEIGHTED, signed=True, half=False, opsets=(MIN_OPSET, 17))
_TENSORRT_FP16 = Scheme(_TENSORRT_ACTIVATIONS, _TENSORRT_WEIGHTED, signed=True, half=True, opsets=(19, 19))


def scheme_of(flavour: Flavour) -> Scheme:
    """The scheme of a flavour.

    TensorRT 8.5 and 8.6 read opsets up to 17; scales in FP16 came with opset 19, which 10.0 and later read (NVIDIA,
    release notes of TensorRT and docs of onnx-tensorrt). Raises ValueError for an unknown flavour.
    """
    match flavour:
        case "cpu":
            return _CPU
        case "tensorrt-fp32":
            return _TENSORRT_FP32
        case "tensorrt-fp16":
            return _TENSORRT_FP16
    raise ValueError(f"flavour {flavour!r}; expected 'cpu', 'tensorrt-fp32' or 'tensorrt-fp16'")
