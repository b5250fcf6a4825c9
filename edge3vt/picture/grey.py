"""Stored DICOM values to grey levels or RGB: rescale, window, palette."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi

from edge3vt.core.frame import Pixels


def value_table(dataset: Any, first: Any) -> Pixels | None:
    """Every stored value's grey (or RGB, for a palette); None where the stored values are grey already."""
    interpretation = dataset.PhotometricInterpretation
    unsigned = np.arange(1 << 8 * first.itemsize).astype(f"u{first.itemsize}")
    if interpretation == "PALETTE COLOR":
        colours = apply_color_lut(unsigned, dataset)
        return np.asarray(colours if colours.dtype == np.uint8 else colours >> 8, dtype=np.uint8)
    if not interpretation.startswith("MONOCHROME"):
        return None
    values = np.asarray(apply_modality_lut(unsigned.view(first.dtype), dataset), dtype=np.float64)
    if dataset.get("VOILUTSequence"):
        brightest = (1 << int(dataset.VOILUTSequence[0].LUTDescriptor[2])) - 1
        grey = apply_voi(values.astype(np.int64), dataset) / brightest
    elif window := _window(dataset):
        grey = _windowed(values, *window, dataset.get("VOILUTFunction", "LINEAR"))
    elif needs_stretch(dataset):
        seen = values[first.view(unsigned.dtype)]
        grey = (values - seen.min()) / max(float(np.ptp(seen)), 1e-9)
    elif interpretation == "MONOCHROME2":
        return None
    else:
        grey = values / 255
    table = np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8)
    return table if interpretation == "MONOCHROME2" else 255 - table


def needs_stretch(dataset: Any) -> bool:
    eight_bit = dataset.BitsAllocated == 8 and not dataset.get("PixelRepresentation")
    known = dataset.get("VOILUTSequence") or _window(dataset)
    return dataset.PhotometricInterpretation.startswith("MONOCHROME") and not eight_bit and not known


def _window(dataset: Any) -> tuple[float, float] | None:
    """The first (centre, width)."""
    pair = [dataset.get(name) for name in ("WindowCenter", "WindowWidth")]
    centre, width = (float(np.ravel(v)[0]) if v is not None and np.size(v) else math.nan for v in pair)
    return (centre, width) if math.isfinite(centre) and width >= 1 else None


def _windowed(values: Any, centre: float, width: float, function: str) -> Any:
    """DICOM PS3.3 C.11.2.1: stored values after rescale to 0-1."""
    match function:
        case "SIGMOID":
            return 1 / (1 + np.exp(-4 * (values - centre) / width))
        case "LINEAR_EXACT":
            return (values - centre) / width + 0.5
        case _:
            return (values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5
