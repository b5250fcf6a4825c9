"""U-Net (Ronneberger et al. 2015), with padded convolutions and batch normalisation (Ioffe and Szegedy 2015)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from edge3vt.learn.student import normalised

LEVELS = 5


class UNet(nn.Module):
    """uint8 or float (N, 1, H, W) pixels -> float (N, C, H, W) logits; H, W in 16s.

    width: channels at full resolution, 64 in the paper; they double at each of the four levels below.
    """

    def __init__(self, classes: int, width: int = 64) -> None:
        super().__init__()
        widths = [width << level for level in range(LEVELS)]
        pairs = list(pairwise(widths))
        self.first = _double(1, width)
        self.down = nn.ModuleList(_double(slim, wide) for slim, wide in pairs)
        self.widen = nn.ModuleList(nn.ConvTranspose2d(wide, slim, 2, 2) for slim, wide in pairs[::-1])
        self.up = nn.ModuleList(_double(2 * slim, slim) for slim, _ in pairs[::-1])
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, None]:
        x = self.first(normalised(pixels))
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(nn.functional.max_pool2d(x, 2))
        for widen, up, skip in zip(self.widen, self.up, skips[::-1], strict=True):
            x = up(torch.cat([skip, widen(x)], dim=1))
        return self.head(x), None


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
