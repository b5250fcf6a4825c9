"""OpenCV and PyTorch around a network: what every training script's demo does after its training.

The steps are those of PyTorch Hub's segmentation example: normalise, forward without gradients, upsample the logits
to the picture, softmax, argmax, a palette of colours, a blend of the whole picture.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

COLOURS = np.array(
    [(0, 0, 0), (233, 180, 86), (10, 110, 235), (66, 228, 240), (190, 100, 230), (140, 190, 0)], np.uint8
)


def loop_around(network, size, normalise):
    """network: float (1, 1, size, size) -> logits (1, C, h, w)."""
    torch.set_num_threads(1)
    network.eval()

    @torch.inference_mode()
    def loop(picture):
        small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR)
        logits = network(normalise(torch.from_numpy(small).float()[None, None]))
        logits = torch.nn.functional.interpolate(logits, picture.shape, mode="bilinear", align_corners=False)
        labels = logits.softmax(dim=1).argmax(dim=1)[0].numpy()
        overlay = COLOURS[labels]
        return cv2.addWeighted(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), 0.7, overlay, 0.3, 0)

    return loop


def show(open_loop, arguments):
    """``python PROGRAM.py WEIGHTS SIZE IN.png OUT.png``"""
    model, size, source, target = arguments
    cv2.imwrite(target, open_loop(model, int(size))(cv2.imread(source, cv2.IMREAD_GRAYSCALE)))
