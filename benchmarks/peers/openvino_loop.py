"""OpenCV and OpenVINO, as public examples put them together. ``python openvino_loop.py MODEL.onnx SIZE IN.png OUT.png``

The steps are those of OpenVINO's segmentation notebooks: resize the picture, normalise it in floats, infer, resize the
result to the picture, colour it with a map of colours, and blend both with ``cv2.addWeighted``.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
import openvino as ov

MEAN, SCALE = 60.0, 64.0  # grey levels that this network was trained with
COLOURS = np.array(
    [(0, 0, 0), (233, 180, 86), (10, 110, 235), (66, 228, 240), (190, 100, 230), (140, 190, 0)], np.uint8
)


def open_loop(model, size):
    core = ov.Core()
    compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1})
    request = compiled.create_infer_request()

    def loop(picture):
        height, width = picture.shape
        small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR)
        tensor = ((small.astype(np.float32) - MEAN) / SCALE)[None, None]
        logits = request.infer({0: tensor})["logits"][0]
        logits = cv2.resize(logits.transpose(1, 2, 0), (width, height), interpolation=cv2.INTER_LINEAR)
        probabilities = np.exp(logits - logits.max(axis=2, keepdims=True))
        probabilities /= probabilities.sum(axis=2, keepdims=True)
        labels = probabilities.argmax(axis=2)
        overlay = COLOURS[labels]
        return cv2.addWeighted(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), 0.7, overlay, 0.3, 0)

    return loop


if __name__ == "__main__":
    model, size, source, target = sys.argv[1:]
    cv2.imwrite(target, open_loop(model, int(size))(cv2.imread(source, cv2.IMREAD_GRAYSCALE)))
