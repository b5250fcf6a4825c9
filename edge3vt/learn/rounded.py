"""A student as INT8 will compute it, taught by itself in FP32: a short fine-tune where calibration alone is not enough.

Rounding stands where ``calibrate.qdq`` puts Q/DQ for TensorRT and passes gradients straight through (Bengio et al.
2013; Jacob et al. 2018, section 3): weights symmetric int8 per output channel, activations symmetric int8 per tensor at
the ranges of a calibration table. A positive factor of a channel moves its scale with it, so that weights before batch
normalisation round as those that it was folded into.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge3vt.calibrate.table import CalibrationTable, TensorRange, refuse_foreign
from edge3vt.core.digest import sha256_bytes, sha256_file
from edge3vt.core.documents import read_json
from edge3vt.core.errors import ConfigError
from edge3vt.core.shipped import find
from edge3vt.core.spec import LOGITS, VIEW
from edge3vt.learn.distillation import Distillation, distillation_loss
from edge3vt.learn.export import to_onnx
from edge3vt.learn.losses import Total, local
from edge3vt.learn.recipe import Quantise, Recipe
from edge3vt.learn.student import STRIDE, ConvBlock, Student, normalised
from edge3vt.learn.weights import find_weights, load_weights

LOW, HIGH = -128, 127  # of int8, as QuantizeLinear clips
TERMS = Distillation(kl=1.0, boundary=1.0, small=0.5)
VIEW_WEIGHT = 0.1  # of the mean squared difference of the view's logits


class Rounded(nn.Module):
    """``student`` with its rounding, in the contract of networks; its batch normalisation keeps its statistics.

    ranges: by the names of the exported graph. keep_float: its layers that are not rounded. The student's weights are
    what is trained; ``taught`` gives what it answered when this was made. Raises ConfigError for another network.
    """

    def __init__(self, student: nn.Module, ranges: Mapping[str, TensorRange], keep_float: tuple[str, ...] = ()) -> None:
        super().__init__()
        if not isinstance(student, Student):
            raise ConfigError("quantise: only students are fine-tuned so")
        if not all(isinstance(block, ConvBlock) for block in _blocks(student)):
            raise ConfigError("quantise: a student with branches folds only at its export; train its plain form")
        self.student = student
        self._teacher = (copy.deepcopy(student).eval(),)  # not among what is trained or saved
        self.has_view = "view.flat" in ranges  # else the exported graph has none
        self._keep_float = frozenset(keep_float) | frozenset([] if self.has_view else [VIEW])
        self._scales = {name: max(-span.min, span.max) / HIGH or 1.0 for name, span in ranges.items()}
        self.layers: list[str] = []
        with torch.no_grad():
            self(torch.zeros(1, 1, 64, 64, device=next(student.parameters()).device))  # a range that lacks is told now
        for name in sorted(self._keep_float - set(self.layers)):
            raise ConfigError(f"quantise: no layer to keep in floats is named '{name}'")

    def train(self, mode: bool = True) -> Rounded:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(pixels.device.type, enabled=False):
            return self._rounded(pixels.float())

    @torch.no_grad()
    def taught(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """What the student answered in floats, before it was trained here."""
        with torch.autocast(pixels.device.type, enabled=False):
            return cast(tuple[Tensor, Tensor], self._teacher[0].to(pixels.device)(pixels.float()))

    def _rounded(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        student, self.layers = self.student, []
        x, name, skips = student.stem(normalised(pixels)), "stem", []
        for i, stage in enumerate(student.stages):
            for j, block in enumerate(cast(nn.Sequential, stage)):
                x = self._block(f"stage{i}.{j}", name, x, cast(ConvBlock, block))
                name = f"stage{i}.{j}.relu"
            skips.append((name, x))
        flat, weight = self._in(VIEW, "view.flat", x.mean(dim=(2, 3)), student.view.weight)
        view = functional.linear(flat, weight, student.view.bias)
        pairs = zip(student.narrow, student.smooth, skips[-2::-1], strict=True)
        for i, (narrow, smooth, (skip_name, skip)) in enumerate(pairs):
            x = self._convolution(f"narrow{i}", name, x, cast(nn.Conv2d, narrow))
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest") + self._in(f"skip{i}", skip_name, skip)[0]
            x = self._block(f"smooth{i}", f"skip{i}", x, cast(ConvBlock, smooth))
            name = f"smooth{i}.relu"
        head = self._convolution("head" if student.stride < STRIDE else LOGITS, name, x, student.head)
        return student.spread(head), view

    def _block(self, layer: str, name: str, x: Tensor, block: ConvBlock) -> Tensor:
        convolution, norm = cast(nn.Conv2d, block[0]), block[1]
        return functional.relu(cast(Tensor, norm(self._convolution(layer, name, x, convolution))))

    def _convolution(self, layer: str, name: str, x: Tensor, convolution: nn.Conv2d) -> Tensor:
        x, weight = self._in(layer, name, x, convolution.weight)
        return functional.conv2d(x, weight, convolution.bias, convolution.stride, convolution.padding)

    def _in(self, layer: str, name: str, x: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The input called ``name`` of a layer, and its weight, both rounded unless the layer is kept in floats."""
        self.layers.append(layer)
        kept = weight if weight is not None else x
        if layer in self._keep_float:
            return x, kept
        if name not in self._scales:
            raise ConfigError(
                f"quantise: the table lacks tensor {name} of the student; calibrate the student that ships"
            )
        x = _fake(x, torch.full((1,), self._scales[name], device=x.device))
        if weight is None:
            return x, x
        largest = weight.detach().abs().flatten(1).amax(dim=1)
        return x, _fake(weight, torch.where(largest > 0, largest / HIGH, torch.ones_like(largest)))


def rounded(student: nn.Module, recipe: Recipe, asked: Quantise) -> Rounded:
    """``student``, which holds the weights that the recipe starts from, with the rounding that it asks for.

    Raises ArtifactError for a table of another model, ConfigError for a network that cannot be rounded.
    """
    table = read_json(CalibrationTable, find("table", asked.table))
    file = find_weights(recipe.init or "")
    held = load_weights(file)
    made = Rounded(student, table.ranges, asked.keep_float)
    assert isinstance(held.model, Student), "Rounded refuses every other network"
    exported = [to_onnx(held.model, held.spec, origin) for origin in (sha256_file(file), None)]
    own = [data for data in exported if sha256_bytes(data) == table.model_sha256]
    refuse_foreign(table, (own or exported)[0])
    return made


def rounded_losses(
    model: Rounded, found: tuple[Tensor, Tensor], pixels: Tensor, total: Total = local
) -> dict[str, Tensor]:
    """How far the rounded answers ``found`` on ``pixels`` lie from those of the teacher, each term weighted.

    Of probabilities, which masks are made of, and of logits, as those say nothing more where the teacher is sure; what
    all classes of a pixel have in common counts for neither.
    """
    (logits, view), (exact, exact_view) = found, model.taught(pixels)
    terms = distillation_loss(logits.float(), exact.softmax(dim=1), None, None, TERMS, total)
    apart, scale = logits.float() - exact, exact - exact.mean(dim=1, keepdim=True)
    squares = (apart - apart.mean(dim=1, keepdim=True)).square().sum(), scale.square().sum()
    moved = (view.float() - exact_view).square().sum()
    sums = total(torch.stack([*squares, moved, moved.new_tensor(exact_view.numel())]))
    return terms | {"logits": sums[0] / sums[1].clamp(min=1e-6), "view": VIEW_WEIGHT * sums[2] / sums[3]}


def _fake(values: Tensor, scale: Tensor) -> Tensor:
    """Values on the grid of symmetric int8, one scale or one for each channel of axis 0; gradients pass through."""
    zero = torch.zeros(len(scale), dtype=torch.int32, device=scale.device)
    if len(scale) == 1:
        return torch.fake_quantize_per_tensor_affine(values, scale, zero, LOW, HIGH)
    return torch.fake_quantize_per_channel_affine(values, scale, zero, 0, LOW, HIGH)


def _blocks(student: Student) -> list[nn.Module]:
    staged = [block for stage in student.stages for block in cast(nn.Sequential, stage)]
    return [*staged, *student.smooth]
