"""What may be kept of a picture: nothing outside the ultrasound region, where names and dates stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge3vt.core.frame import Frame, Layout, Region
from edge3vt.picture.colour import to_rgb


def blanked(frame: Frame) -> Frame:
    """The frame with black outside ``frame.bounds``; the same where that is everything. GRAY stays GRAY, else RGB."""
    bounds = frame.bounds
    if bounds == Region(0, 0, frame.width, frame.height):
        return frame
    grey = frame.layout is Layout.GRAY
    pixels = frame.pixels if grey else to_rgb(frame)
    black = 16 if grey and not frame.full_range else 0
    kept = np.full_like(pixels, black)
    rows, columns = slice(bounds.y0, bounds.y1), slice(bounds.x0, bounds.x1)
    kept[rows, columns] = pixels[rows, columns]
    return replace(frame, pixels=kept) if grey else replace(frame, pixels=kept, layout=Layout.RGB, full_range=True)
