"""The student: plain 3x3 convolutions on a space-to-depth stem, additive skips, quarter-resolution logits.

Every block folds into one INT8 convolution with a ReLU; the decoder adds instead of concatenating, and depthwise
convolutions, which waste an INT8 machine, are left out. In the half-resolution form the head predicts the four
half-resolution cells of each quarter-resolution one (sub-pixel convolution, Shi et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from edge3vt.core.anatomy import CLASS_NAMES

STRIDE = 4
WIDTHS = (32, 64, 96, 128)
DEPTHS = (2, 2, 2, 2)
PIXEL_MEAN, PIXEL_SCALE = 60.0, 1 / 64.0  # grey levels; inside the graph


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )
        self.stride = stride

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (O, I, 3, 3) and bias (O,) of the one convolution that this block is at run time, before its ReLU."""
        convolution, norm = self[0], self[1]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        return fold(convolution.weight, norm)


class BranchedBlock(nn.Module):
    """3x3 and 1x1 convolution and identity, each with batch normalisation, added before the ReLU (Ding et al. 2021).

    The identity is there where input and output have the same shape.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.wide = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.wide_norm = nn.BatchNorm2d(outputs)
        self.point = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.point_norm = nn.BatchNorm2d(outputs)
        self.same_norm = nn.BatchNorm2d(outputs) if inputs == outputs and stride == 1 else None

    def forward(self, x: Tensor) -> Tensor:
        total = self.wide_norm(self.wide(x)) + self.point_norm(self.point(x))
        if self.same_norm is not None:
            total = total + self.same_norm(x)
        return nn.functional.relu(total, inplace=True)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (O, I, 3, 3) and bias (O,) of the one convolution that this block is at run time, before its ReLU."""
        weight, bias = fold(self.wide.weight, self.wide_norm)
        kernels = [(self.point.weight, self.point_norm)]
        if self.same_norm is not None:
            kernels.append((torch.eye(len(weight), device=weight.device)[:, :, None, None], self.same_norm))
        for kernel, norm in kernels:
            centre, offset = fold(kernel, norm)
            weight, bias = weight + nn.functional.pad(centre, (1, 1, 1, 1)), bias + offset
        return weight, bias


def fold(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A convolution's weight (O, I, k, k) with the batch normalisation behind it multiplied in, and its bias (O,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


class Student(nn.Module):
    """uint8 or float (N, 1, H, W) pixels -> float (N, C, H/4, W/4) logits and (N, 1) view logit; H, W in 32s.

    widths, depths: of the stages at strides 4, 8, 16, 32. branches: BranchedBlock instead of ConvBlock.
    half: (N, C, H/2, W/2) logits.
    """

    def __init__(
        self,
        classes: int = len(CLASS_NAMES),
        widths: Sequence[int] = WIDTHS,
        depths: Sequence[int] = DEPTHS,
        *,
        branches: bool = False,
        half: bool = False,
    ) -> None:
        super().__init__()
        block = BranchedBlock if branches else ConvBlock
        self.stem = nn.PixelUnshuffle(STRIDE)
        inputs = STRIDE * STRIDE
        self.stages = nn.ModuleList()
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks: list[nn.Module] = [block(inputs, width, 1 if i == 0 else 2)]
            blocks += [block(width, width) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*blocks))
            inputs = width
        pairs = list(pairwise(widths))[::-1]
        self.narrow = nn.ModuleList(nn.Conv2d(wide, slim, 1) for slim, wide in pairs)
        self.smooth = nn.ModuleList(block(slim, slim) for slim, _ in pairs)
        self.head = nn.Conv2d(widths[0], 4 * classes, 3, padding=1) if half else nn.Conv2d(widths[0], classes, 1)
        self.spread = nn.PixelShuffle(2) if half else nn.Identity()
        self.classes, self.stride = classes, STRIDE // 2 if half else STRIDE
        self.view = nn.Linear(widths[-1], 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(normalised(pixels))
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        view = self.view(x.mean(dim=(2, 3)))
        for narrow, smooth, skip in zip(self.narrow, self.smooth, skips[-2::-1], strict=True):
            x = smooth(nn.functional.interpolate(narrow(x), scale_factor=2.0, mode="nearest") + skip)
        return self.spread(self.head(x)), view


def normalised(pixels: Tensor) -> Tensor:
    """Grey levels 0-255 as float, about zero mean and unit variance."""
    return (pixels.float() - PIXEL_MEAN) * PIXEL_SCALE


def parameters_m(model: nn.Module) -> float:
    """Millions of parameters."""
    return sum(p.numel() for p in model.parameters()) / 1e6
