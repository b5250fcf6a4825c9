"""U-Net with a ResNet-34 encoder (MONAI's FlexibleUNet) on PyTorch, FP32: ``python unet_resnet34.py - SIZE IN OUT``.

Weights are random: the time does not depend on them, and there is no accuracy here.
"""

from __future__ import annotations

import sys

import torch
from monai.networks.nets import FlexibleUNet
from pytorch_loop import loop_around, show

CLASSES = 6


def open_loop(model, size):
    torch.manual_seed(0)
    network = FlexibleUNet(in_channels=1, out_channels=CLASSES, backbone="resnet34", pretrained=False)
    return loop_around(network, size, lambda pixels: (pixels / 255 - 0.449) / 0.226)  # ImageNet's, as grey


if __name__ == "__main__":
    show(open_loop, sys.argv[1:])
