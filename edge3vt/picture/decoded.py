"""What FFmpeg decodes, as the layouts of a frame: luma untouched wherever it can be, RGB by the file's matrix else."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge3vt.core.frame import Layout, Pixels

LIMITED, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
BT709 = 1  # ITU-T H.273, MatrixCoefficients
HALVED = {"yuv420p": 2, "yuvj420p": 2, "yuv422p": 1, "yuvj422p": 1}
"""Planar formats that become NV12, and by how much their chroma's rows are halved."""


def laid_out(frame: Any) -> tuple[Pixels, Layout, bool]:
    """An av.VideoFrame as (pixels, layout, full_range), read-only: GRAY or NV12 without a detour through colour.

    NV12 is BT.601 here; BT.709, odd sizes and other formats become full-range RGB.
    """
    name, width, height = frame.format.name, frame.width, frame.height
    full = name.startswith("yuvj") or frame.color_range == FULL
    if name == "gray":
        pixels, layout, full = _plane(frame, 0, width, height).copy(), Layout.GRAY, frame.color_range != LIMITED
    elif name in HALVED and frame.colorspace != BT709 and not (width % 2 or height % 2):
        pixels, layout = np.empty((height * 3 // 2, width), np.uint8), Layout.NV12
        pixels[:height] = _plane(frame, 0, width, height)
        chroma = pixels[height:].reshape(height // 2, width // 2, 2)
        for channel in (0, 1):
            plane = _plane(frame, channel + 1, width // 2, height // HALVED[name])
            chroma[..., channel] = plane if HALVED[name] == 2 else _mean_of_rows(plane)
    else:
        pixels, layout, full = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8), Layout.RGB, True
    pixels.flags.writeable = False
    return pixels, layout, full


def _plane(frame: Any, index: int, width: int, height: int) -> Pixels:
    plane = frame.planes[index]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]


def _mean_of_rows(plane: Pixels) -> Pixels:
    return ((plane[::2].astype(np.uint16) + plane[1::2] + 1) // 2).astype(np.uint8)
