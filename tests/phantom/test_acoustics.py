"""Image formation against what its sources say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.phantom.acoustics import Beam, draw_beam, echo_picture

STEP_MM = 0.1
SPACING = np.full(384, 0.15, dtype=np.float32)


def beam(**changes: float) -> Beam:
    plain = draw_beam(np.random.default_rng(0), 40.0)
    quiet = replace(
        plain, noise_db=-200.0, side_lobe=0.0, smoothing_px=0.0, gamma=1.0, dynamic_range_db=120.0, grey_level=0.7
    )
    return replace(quiet, **changes)


def noise(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return ((rng.standard_normal((384, 224)) + 1j * rng.standard_normal((384, 224))) / np.sqrt(2)).astype(np.complex64)


def envelope(asked: Beam, amplitude: np.ndarray, absorption: float = 0.0) -> np.ndarray:
    flat = np.zeros_like(amplitude)
    picture = echo_picture(amplitude, flat + np.float32(absorption), noise(1), noise(2), asked, flat, STEP_MM, SPACING)
    return 10 ** ((picture - asked.grey_level) * asked.dynamic_range_db / 20)


def test_homogeneous_tissue_gives_fully_developed_speckle() -> None:
    echoes = envelope(beam(), np.ones((384, 224), np.float32))[20:-20, 20:-20]
    assert echoes.mean() / echoes.std() == pytest.approx(1.91, abs=0.12)  # Rayleigh: sqrt(pi / (4 - pi))


def test_absorption_lowers_deeper_echoes_by_its_decibels() -> None:
    echoes = envelope(beam(), np.ones((384, 224), np.float32), absorption=0.5)
    shallow, deep = echoes[50:90].mean(), echoes[290:330].mean()
    assert 20 * np.log10(shallow / deep) == pytest.approx(0.5 * 240 * STEP_MM, abs=1.5)


def test_a_wider_beam_smears_further() -> None:
    point = np.full((384, 224), 1e-6, np.float32)
    point[190:194, 110:114] = 1000

    def width(lateral_mm: float) -> int:
        row = envelope(beam(lateral_mm=lateral_mm, focus_mm=19.0), point)[192]
        return int((row > row.max() / 2).sum())

    assert width(1.2) > 1.5 * width(0.4)
