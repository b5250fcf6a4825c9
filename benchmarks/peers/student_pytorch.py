"""The student itself in FP32 on PyTorch: ``python student_pytorch.py STUDENT.safetensors SIZE IN.png OUT.png``."""

from __future__ import annotations

import sys
from pathlib import Path

from pytorch_loop import loop_around, show
from torch import nn

from edge3vt.learn.weights import load_weights


class Logits(nn.Module):
    def __init__(self, student):
        super().__init__()
        self.student = student

    def forward(self, pixels):
        return self.student(pixels)[0]


def open_loop(model, size):
    return loop_around(Logits(load_weights(Path(model)).model), size, lambda pixels: pixels)  # it normalises itself


if __name__ == "__main__":
    show(open_loop, sys.argv[1:])
