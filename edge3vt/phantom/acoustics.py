"""From tissue to echoes: scatterers, point spread function, shadows, envelope and log compression, in polar geometry.

Fully developed speckle as complex circular Gaussian scatterers (Goodman 1975; Wagner et al. 1983, IEEE Trans
Sonics Ultrason 30:156-163), a separable Gaussian point spread function whose lateral width grows away from the
focus (as a Gaussian beam does), two-way absorption along the beam, and logarithmic compression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[np.float32]
Scatterers = NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class Beam:
    """The imaging system. Widths are standard deviations in mm; levels in dB."""

    axial_mm: float
    lateral_mm: float  # at the focus
    focus_mm: float
    focal_length_mm: float  # depth over which the lateral width grows by sqrt(2)
    dynamic_range_db: float
    grey_level: float  # of soft tissue, 0..1, before gamma
    noise_db: float  # electronic noise below soft tissue
    side_lobe: float  # share of amplitude that leaks over a wide area
    smoothing_px: float  # the scanner's own speckle reduction, in polar samples
    gamma: float


def draw_beam(rng: np.random.Generator, depth_mm: float) -> Beam:
    """A plausible obstetric setting: 4-8 MHz, 45-70 dB."""
    return Beam(
        axial_mm=float(rng.uniform(0.14, 0.34)),
        lateral_mm=float(rng.uniform(0.26, 0.58)),
        focus_mm=float(depth_mm * rng.uniform(0.35, 0.75)),
        focal_length_mm=float(rng.uniform(30, 65)),
        dynamic_range_db=float(rng.uniform(45, 68)),
        grey_level=float(rng.uniform(0.36, 0.6)),
        noise_db=float(rng.uniform(-58, -34)),
        side_lobe=float(rng.uniform(0.004, 0.035)),
        smoothing_px=float(rng.choice([0.0, rng.uniform(0.4, 1.0)])),
        gamma=float(rng.uniform(0.8, 1.35)),
    )


def draw_shading(rng: np.random.Generator, depths: int, lines: int) -> Field:
    """Depth gain as an operator leaves it, and lines that lost contact: (depths, lines) in dB."""
    depth = np.interp(np.linspace(0, 1, depths), np.linspace(0, 1, 5), rng.normal(0, 2.0, 5))
    contact = ndimage.gaussian_filter1d(rng.standard_normal(lines), lines / 25)
    lost = np.minimum(contact / max(float(contact.std()), 1e-6) + rng.uniform(1.2, 3.0), 0) * rng.uniform(1, 5)
    shading: Field = (depth[:, None] + lost[None, :]).astype(np.float32)
    return shading


def echo_picture(
    amplitude: Field,
    absorption: Field,
    scatterers: Scatterers,
    noise: Scatterers,
    beam: Beam,
    shading_db: Field,
    depth_step_mm: float,
    line_spacing_mm: Field,
) -> Field:
    """The compressed picture, 0..1, (depths, lines), from fields of the same shape.

    absorption: dB per mm, two-way. shading_db: gain and contact of each sample. line_spacing_mm: (depths,) distance
    of neighbouring lines.
    """
    transmitted = 10 ** ((shading_db - np.cumsum(absorption, axis=0) * depth_step_mm) / 20)
    leak = ndimage.uniform_filter(amplitude, (25, 25), mode="nearest") * beam.side_lobe
    echo = scatterers * (amplitude + leak) * transmitted.astype(np.float32)
    echo = ndimage.gaussian_filter1d(echo, beam.axial_mm / depth_step_mm, axis=0, mode="constant")
    echo = _lateral_blur(echo, beam, depth_step_mm, line_spacing_mm)
    # One scatterer a cell loses power to the blur; give it back, so that levels do not depend on the widths.
    lateral = np.maximum(_lateral_mm(beam, depth_step_mm, len(echo)) / line_spacing_mm, 0.3)
    echo *= np.sqrt(4 * np.pi * lateral * max(beam.axial_mm / depth_step_mm, 0.3))[:, None].astype(np.float32)
    envelope = np.abs(echo + noise * np.float32(10 ** (beam.noise_db / 20)))
    if beam.smoothing_px:
        envelope = ndimage.gaussian_filter(envelope, beam.smoothing_px)
    level = 20 * np.log10(np.maximum(envelope, 1e-6))
    picture: Field = np.clip(level / beam.dynamic_range_db + beam.grey_level, 0, 1).astype(np.float32) ** np.float32(
        beam.gamma
    )
    return picture


def _lateral_mm(beam: Beam, depth_step_mm: float, depths: int) -> Field:
    away = (np.arange(depths, dtype=np.float32) * depth_step_mm - beam.focus_mm) / beam.focal_length_mm
    width: Field = (beam.lateral_mm * np.sqrt(1 + away**2)).astype(np.float32)
    return width


def _lateral_blur(echo: Scatterers, beam: Beam, depth_step_mm: float, line_spacing_mm: Field) -> Scatterers:
    """Blur each depth by its own width: between three fixed widths, interpolated linearly."""
    widths = _lateral_mm(beam, depth_step_mm, len(echo)) / line_spacing_mm
    knots = np.linspace(widths.min(), widths.max() + 1e-3, 3)
    blurred = [ndimage.gaussian_filter1d(echo, max(k, 0.1), axis=1, mode="constant") for k in knots]
    position = (widths - knots[0]) / (knots[1] - knots[0])
    weights = [np.clip(1 - np.abs(position - i), 0, 1).astype(np.float32)[:, None] for i in range(3)]
    blend: Scatterers = blurred[0] * weights[0] + blurred[1] * weights[1] + blurred[2] * weights[2]
    return blend
