"""DeepLabv3+ (Chen et al. 2018) on ResNet-50 (MONAI's) on PyTorch: ``python deeplab_resnet50.py - SIZE IN OUT``.

Output stride 16 as in the paper: strides 4, 8, 16, and the last stage dilated; atrous rates 6, 12, 18. Weights are
random: the time does not depend on them, and there is no accuracy here.
"""

from __future__ import annotations

import sys

import torch
from monai.networks.nets import resnet50
from pytorch_loop import loop_around, show
from torch import nn
from torch.nn.functional import interpolate

CLASSES = 6


def block(inputs, outputs, kernel, rate=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=rate * (kernel // 2), dilation=rate, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class DeepLab(nn.Module):
    def __init__(self):
        super().__init__()
        trunk = resnet50(spatial_dims=2, n_input_channels=1, conv1_t_size=7, conv1_t_stride=2, feed_forward=False)
        for module in trunk.layer4.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
                if module.kernel_size == (3, 3):
                    module.dilation, module.padding = (2, 2), (2, 2)
        self.stem = nn.Sequential(trunk.conv1, trunk.bn1, trunk.act, trunk.maxpool)
        self.layers = nn.ModuleList([trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4])
        self.scales = nn.ModuleList([block(2048, 256, 1)] + [block(2048, 256, 3, rate) for rate in (6, 12, 18)])
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), block(2048, 256, 1))
        self.fuse = block(5 * 256, 256, 1)
        self.low = block(256, 48, 1)
        self.decoder = nn.Sequential(block(304, 256, 3), block(256, 256, 3), nn.Conv2d(256, CLASSES, 1))

    def forward(self, x):
        x = low = self.layers[0](self.stem(x))
        for layer in self.layers[1:]:
            x = layer(x)
        whole = interpolate(self.whole(x), x.shape[2:], mode="bilinear")
        x = self.fuse(torch.cat([scale(x) for scale in self.scales] + [whole], dim=1))
        x = interpolate(x, low.shape[2:], mode="bilinear", align_corners=False)
        return self.decoder(torch.cat([x, self.low(low)], dim=1))


def open_loop(model, size):
    torch.manual_seed(0)
    return loop_around(DeepLab(), size, lambda pixels: (pixels / 255 - 0.449) / 0.226)  # ImageNet's, as grey


if __name__ == "__main__":
    show(open_loop, sys.argv[1:])
