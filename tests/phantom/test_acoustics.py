"""Image formation against what its sources say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.phantom.acoustics import Beam, Echoes, draw_beam
from edge3vt.phantom.canvas import TISSUE_DB_PER_MM
from edge3vt.phantom.cine import GRAIN_MM, Kind, Scene
from edge3vt.phantom.scanner import DEPTHS, LINES, Scanner, draw_setup
from edge3vt.phantom.texture import complex_noise, grain

SHAPE = (DEPTHS, LINES)
MIDDLE = np.s_[60:-60, 30:-30]


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return draw_setup(np.random.default_rng(4), 512, 512, probe="linear").scanner(45.0)


def beam(**changes: float) -> Beam:
    """A beam without what is not under test."""
    drawn = draw_beam(np.random.default_rng(0), 40.0)
    plain = replace(drawn, noise_db=-200.0, side_lobe=0.0, edge_db=0.0, reverberation=0.0, clutter=0.0, smoothing=0.0)
    return replace(plain, **changes)


def echoes(**fields: np.ndarray) -> Echoes:
    """Homogeneous soft tissue, where not told otherwise."""
    flat = np.zeros(SHAPE, np.float32)
    plain = {
        "amplitude": flat + np.float32(1),
        "level": flat,
        "absorption": flat + np.float32(TISSUE_DB_PER_MM),
        "scatterers": complex_noise(np.random.default_rng(1), SHAPE),
        "noise": complex_noise(np.random.default_rng(2), SHAPE),
        "gain_db": flat,
    }
    return Echoes(**(plain | fields))


def correlation_mm(envelope: np.ndarray, step_mm: float, axis: int) -> float:
    """Where the autocorrelation of the intensity falls to 1/e."""
    power = envelope.astype(np.float64) ** 2
    power -= power.mean()
    spectrum = np.abs(np.fft.fft(power, 2 * power.shape[axis], axis=axis)) ** 2
    curve = np.fft.ifft(spectrum, axis=axis).real.mean(axis=1 - axis)[: power.shape[axis] // 2]
    curve *= power.shape[axis] / (power.shape[axis] - np.arange(len(curve)))
    curve /= curve[0]
    below = int(np.argmax(curve < np.exp(-1)))
    fraction = (curve[below - 1] - np.exp(-1)) / (curve[below - 1] - curve[below])
    return (below - 1 + float(fraction)) * step_mm


@pytest.mark.parametrize("seed", range(3))
def test_homogeneous_tissue_gives_fully_developed_speckle(scanner: Scanner, seed: int) -> None:
    tissue = echoes(scatterers=complex_noise(np.random.default_rng(seed), SHAPE))
    seen = beam().envelope(tissue, scanner)[MIDDLE]
    assert seen.mean() / seen.std() == pytest.approx(1.91, abs=0.1)  # Rayleigh: sqrt(pi / (4 - pi))
    assert np.sqrt((seen**2).mean()) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("axial_mm", [0.16, 0.25, 0.34])
def test_axial_correlation_length_is_the_configured_one(scanner: Scanner, axial_mm: float) -> None:
    seen = beam(axial_mm=axial_mm).envelope(echoes(), scanner)[MIDDLE]
    # Speckle's intensity correlates as the squared autocorrelation of the amplitude's Gaussian (Wagner et al. 1983).
    assert correlation_mm(seen, scanner.depth_step_mm, 0) == pytest.approx(np.sqrt(2) * axial_mm, rel=0.15)


@pytest.mark.parametrize("lateral_mm", [0.36, 0.6, 0.9])
def test_lateral_correlation_length_is_the_configured_one(scanner: Scanner, lateral_mm: float) -> None:
    focused = beam(lateral_mm=lateral_mm, focus_mm=float(scanner.depth_mm[DEPTHS // 2]), focal_length_mm=1e6)
    seen = focused.envelope(echoes(), scanner)[MIDDLE]
    spacing = float(scanner.line_spacing_mm[DEPTHS // 2])
    assert correlation_mm(seen, spacing, 1) == pytest.approx(np.sqrt(2) * lateral_mm, rel=0.15)


@pytest.mark.parametrize("kind", ["view", "arm"])
def test_scatterers_of_a_scene_give_the_same_speckle_as_scatterers_of_their_own(kind: Kind) -> None:
    ratios = []
    for seed in range(12):
        scene = Scene(seed, 512, 512, kind=kind)
        assert isinstance(scene.system, Beam)
        cell_mm = GRAIN_MM / 2 if kind == "arm" else GRAIN_MM
        shared = grain(*scene.scanner.sample_mm, cell_mm, np.array([seed, 7]))
        plain = replace(scene.system, side_lobe=0.0, reverberation=0.0, clutter=0.0, noise_db=-200.0)
        seen = plain.envelope(echoes(scatterers=shared), scene.scanner)[MIDDLE]
        own = plain.envelope(echoes(), scene.scanner)[MIDDLE]
        assert seen.mean() / seen.std() == pytest.approx(1.91, abs=0.15)
        ratios.append([correlation_mm(seen, 1, axis) / correlation_mm(own, 1, axis) for axis in (0, 1)])
    assert np.median(ratios, axis=0) == pytest.approx([1, 1], abs=0.15)


def test_the_measure_of_correlation_sees_a_wider_beam(scanner: Scanner) -> None:
    narrow, wide = (beam(lateral_mm=w, focal_length_mm=1e6).envelope(echoes(), scanner) for w in (0.4, 0.6))
    assert correlation_mm(wide[MIDDLE], 1, 1) > 1.3 * correlation_mm(narrow[MIDDLE], 1, 1)


def test_the_beam_widens_away_from_its_focus(scanner: Scanner) -> None:
    widths = beam(lateral_mm=0.5, focus_mm=20.0, focal_length_mm=20.0).lateral_widths_mm(scanner)
    at = [float(np.interp(depth, scanner.depth_mm, widths)) for depth in (20.0, 40.0)]
    assert at == pytest.approx([0.5, 0.5 * np.sqrt(2)], rel=0.01)


def test_absorption_lowers_deeper_echoes_by_its_decibels(scanner: Scanner) -> None:
    absorbing = np.full(SHAPE, TISSUE_DB_PER_MM + 0.5, np.float32)
    seen = beam().envelope(echoes(absorption=absorbing), scanner)
    shallow, deep = seen[50:90].mean(), seen[290:330].mean()
    assert 20 * np.log10(shallow / deep) == pytest.approx(0.5 * 240 * scanner.depth_step_mm, abs=1)


def test_an_interface_is_brightest_square_to_the_beam(scanner: Scanner) -> None:
    def brightest(slope: float) -> float:
        line = DEPTHS / 2 + slope * (np.arange(LINES) - LINES / 2)
        level = np.where(np.arange(DEPTHS)[:, None] > line, 0, -40).astype(np.float32)
        dark = np.full(SHAPE, 1e-3, np.float32)
        return float(np.median(beam(specular=0.5).envelope(echoes(level=level, amplitude=dark), scanner).max(axis=0)))

    steep = float(scanner.line_spacing_mm[0]) / scanner.depth_step_mm  # 45 degrees
    assert brightest(0.0) > 1.8 * brightest(steep)


def test_bone_throws_a_shadow_and_fluid_an_enhancement(scanner: Scanner) -> None:
    absorption = np.full(SHAPE, TISSUE_DB_PER_MM, np.float32)
    absorption[150:200, :80], absorption[60:290, 180:] = 2.5, 0.0
    seen = beam().envelope(echoes(absorption=absorption), scanner)[300:450]
    shadow, plain, enhanced = seen[:, 10:70].mean(), seen[:, 100:160].mean(), seen[:, 190:250].mean()
    assert shadow < 0.3 * plain
    assert enhanced > 1.05 * plain


def test_a_copy_of_all_echoes_comes_later(scanner: Scanner) -> None:
    bright = np.full(SHAPE, 1e-4, np.float32)
    bright[100:104] = 10
    seen = beam(reverberation=0.1, reverberation_mm=10.0).envelope(echoes(amplitude=bright), scanner)
    late = round(10.0 / scanner.depth_step_mm)
    assert seen[100 + late : 104 + late].mean() == pytest.approx(0.1 * seen[100:104].mean(), rel=0.05)


def test_compression_maps_decibels_to_grey_levels() -> None:
    plain = beam(dynamic_range_db=50.0, grey_level=0.5, gamma=1.0)
    levels = plain.compressed(np.array([[1.0, 10 ** (10 / 20), 1e-9, 1e9]], np.float32))
    assert levels[0] == pytest.approx([0.5, 0.7, 0, 1], abs=1e-3)
