"""Ultralytics' own loop, ``predict`` and ``plot``: ``python ultralytics_predict.py - SIZE IN.png OUT.png``.

YOLO11n-seg as its YAML describes it, with random weights: it finds nothing, so that making and drawing masks, which
costs more, is left out of its time. Where torchvision is a build for another torch, its two operators are declared, so
that the import goes through; nothing here calls them.
"""

from __future__ import annotations

import os
import sys
import tempfile

os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp())  # settings are written there, not into the home folder

import cv2
import torch

LIBRARY = torch.library.Library("torchvision", "FRAGMENT")


def open_loop(model, size):
    torch.set_num_threads(1)
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        for operator in ("nms", "qnms"):
            LIBRARY.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from ultralytics import YOLO

    network = YOLO("yolo11n-seg.yaml")

    def loop(picture):
        colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        return network.predict(colour, imgsz=size, device="cpu", verbose=False)[0].plot()

    return loop


if __name__ == "__main__":
    model, size, source, target = sys.argv[1:]
    cv2.imwrite(target, open_loop(model, int(size))(cv2.imread(source, cv2.IMREAD_GRAYSCALE)))
