"""Every layout and range to full-range RGB. YUV is BT.601."""

from __future__ import annotations

import cv2
import numpy as np

from edge3vt.core.frame import Frame, Layout, Pixels

FULL_RANGE: Pixels = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
"""Limited-range luma (16-235) to full range (0-255), as a table."""


def to_rgb(frame: Frame, out: Pixels | None = None) -> Pixels:
    """The whole picture as a (H, W, 3) full-range RGB array, a new one or ``out``, of that shape."""
    pixels, limited = frame.pixels, not frame.full_range
    if out is None:
        out = np.empty((frame.height, frame.width, 3), np.uint8)
    match frame.layout:
        case Layout.GRAY:
            cv2.cvtColor(_expanded(pixels, limited), cv2.COLOR_GRAY2RGB, dst=out)
        case Layout.RGB if limited:
            cv2.LUT(pixels, FULL_RANGE, dst=out)
        case Layout.RGB:
            np.copyto(out, pixels)
        case Layout.BGR:
            cv2.cvtColor(_expanded(pixels, limited), cv2.COLOR_BGR2RGB, dst=out)
        case Layout.NV12 if limited:
            cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_NV12, dst=out)
        case Layout.NV12:
            chroma = pixels[frame.height :].reshape(frame.height // 2, frame.width // 2, 2)
            np.copyto(out, _full_range_yuv(frame.luma, chroma.repeat(2, axis=0).repeat(2, axis=1)))
        case Layout.YUYV if limited:
            cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_YUYV, dst=out)
        case Layout.YUYV:
            chroma = pixels[..., 1].reshape(frame.height, frame.width // 2, 2)
            np.copyto(out, _full_range_yuv(frame.luma, chroma.repeat(2, axis=1)))
    return out


def ybr_to_rgb(ybr: Pixels) -> Pixels:
    """(H, W, 3) full-range Y, Cb, Cr, the YBR_FULL of DICOM, to RGB."""
    return _full_range_yuv(ybr[..., 0], ybr[..., 1:])


def _full_range_yuv(luma: Pixels, chroma: Pixels) -> Pixels:
    """(H, W) luma and (H, W, 2) Cb, Cr, all 0-255, to RGB."""
    return _rgb(cv2.cvtColor(np.dstack((luma, chroma[..., 1], chroma[..., 0])), cv2.COLOR_YCrCb2RGB))


def _expanded(pixels: Pixels, limited: bool) -> Pixels:
    return _rgb(cv2.LUT(pixels, FULL_RANGE)) if limited else pixels


def _rgb(pixels: object) -> Pixels:
    return np.asarray(pixels, dtype=np.uint8)
