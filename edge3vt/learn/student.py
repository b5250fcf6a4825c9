"""The student: plain 3x3 convolutions on a space-to-depth stem, additive skips, quarter-resolution logits.

Every block is Conv-BN-ReLU, so that it folds into one INT8 convolution; the decoder adds instead of concatenating,
and depthwise convolutions, which waste an INT8 machine, are left out.
"""

from __future__ import annotations

from itertools import pairwise

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


class Student(nn.Module):
    """uint8 or float (N, 1, H, W) pixels -> float (N, C, H/4, W/4) logits and (N, 1) view logit; H, W in 32s."""

    def __init__(self, classes: int = len(CLASS_NAMES)) -> None:
        super().__init__()
        self.stem = nn.PixelUnshuffle(STRIDE)
        inputs = STRIDE * STRIDE
        self.stages = nn.ModuleList()
        for i, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
            blocks = [ConvBlock(inputs, width, 1 if i == 0 else 2)] + [
                ConvBlock(width, width) for _ in range(depth - 1)
            ]
            self.stages.append(nn.Sequential(*blocks))
            inputs = width
        pairs = list(pairwise(WIDTHS))[::-1]
        self.narrow = nn.ModuleList(nn.Conv2d(wide, slim, 1) for slim, wide in pairs)
        self.smooth = nn.ModuleList(ConvBlock(slim, slim) for slim, _ in pairs)
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)
        self.view = nn.Linear(WIDTHS[-1], 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem((pixels.float() - PIXEL_MEAN) * PIXEL_SCALE)
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        view = self.view(x.mean(dim=(2, 3)))
        for narrow, smooth, skip in zip(self.narrow, self.smooth, skips[-2::-1], strict=True):
            x = smooth(nn.functional.interpolate(narrow(x), scale_factor=2.0, mode="nearest") + skip)
        return self.head(x), view


def parameters_m(model: nn.Module) -> float:
    """Millions of parameters."""
    return sum(p.numel() for p in model.parameters()) / 1e6
