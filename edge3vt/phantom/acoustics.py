"""From tissue to echoes: scatterers, interfaces, absorption, point spread function, envelope and log compression.

Everything happens on the scanner's polar grid, (depths, lines), in baseband. Sources of the models:

- fully developed speckle as complex circular Gaussian scatterers, so that the envelope is Rayleigh distributed and
  its mean over its deviation is 1.91 (Goodman 1975; Wagner et al. 1983, IEEE Trans Sonics Ultrason 30:156-163)
- linear imaging with a separable point spread function (Bamber and Dickinson 1980, Phys Med Biol 25:463-479):
  Gaussian along the beam, and across it a Gaussian whose width grows away from the focus as a Gaussian beam's does,
  with side lobes as a second, wider and weaker one
- a smooth interface adds an echo of fixed phase where the tissue's level jumps along the beam; neighbouring lines add
  up only where it is square to the beam, so that its brightness depends on the angle
- two-way absorption summed along the line against a time gain compensation for soft tissue: shadows behind bone,
  enhancement behind fluid; loss at outlines that run along the beam (Robinson et al. 1981, Ultrason Imaging 3:330)
- reverberation: a weak copy of all echoes, later by a fixed depth, and clutter that decays from the probe's face
- logarithmic compression to a dynamic range, a grey map, and a little smoothing as speckle reduction
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import fft, ndimage

from edge3vt.phantom.canvas import TISSUE_DB_PER_MM
from edge3vt.phantom.scanner import DEPTHS, LINES, Scanner
from edge3vt.phantom.texture import Field, Scatterers

SIDE_LOBE_WIDTH = 5.0  # of the side lobes, in widths of the main lobe; our own choice
DARKEST_DB = -50.0  # levels below are no interface


@dataclass(frozen=True, slots=True, eq=False)
class Echoes:
    """What the beam meets on the scanner's grid, (DEPTHS, LINES) each; amplitude, level, absorption as in TissueMap.

    scatterers: of unit power, moving with the tissue. noise: the same, of the electronics. gain_db: depth gain as the
    operator left it, and lines that lost contact.
    """

    amplitude: Field
    level: Field
    absorption: Field
    scatterers: Scatterers
    noise: Scatterers
    gain_db: Field


class System(Protocol):
    """An imaging system: echoes to a picture of 0..1, (DEPTHS, LINES)."""

    def picture(self, echoes: Echoes, scanner: Scanner) -> Field: ...


@dataclass(frozen=True, slots=True)
class Beam:
    """The imaging system of site A. Widths are standard deviations in mm, of amplitude; levels in dB."""

    axial_mm: float
    lateral_mm: float  # at the focus
    focus_mm: float
    focal_length_mm: float  # depth over which the lateral width grows by sqrt(2)
    side_lobe: float  # share of amplitude
    specular: float  # amplitude of an interface, per 10 dB of its jump; about that of soft tissue at 1
    edge_db: float  # lost a mm of an outline along the beam, per 10 dB of its jump
    reverberation: float  # amplitude of the copy
    reverberation_mm: float
    clutter: float  # amplitude at the face
    clutter_mm: float  # depth over which it decays by e
    noise_db: float  # below soft tissue
    dynamic_range_db: float
    grey_level: float  # of soft tissue, 0..1, before gamma
    gamma: float
    smoothing: float  # share of the smoothed envelope in what is compressed: speckle reduction

    def picture(self, echoes: Echoes, scanner: Scanner) -> Field:
        """The compressed picture."""
        return self.compressed(self.envelope(echoes, scanner))

    def envelope(self, echoes: Echoes, scanner: Scanner) -> Field:
        """(DEPTHS, LINES) echo amplitude; 1 is the root mean square of soft tissue at its nominal gain."""
        step = scanner.depth_step_mm
        level = np.maximum(echoes.level, np.float32(DARKEST_DB))
        along, across = np.zeros_like(level), np.zeros_like(level)
        along[1:-1] = np.abs(level[2:] - level[:-2]) * np.float32(0.5)
        across[:, 1:-1] = np.abs(level[:, 2:] - level[:, :-2]) * np.float32(0.5)
        lost = (echoes.absorption - np.float32(TISSUE_DB_PER_MM)) * np.float32(step)
        lost += across * np.float32(self.edge_db / 10 * step)
        gain = np.exp((echoes.gain_db - np.cumsum(lost, axis=0)) * np.float32(np.log(10) / 20))
        echo = echoes.scatterers * (echoes.amplitude * gain)
        steep = np.square(along)  # cosine squared of the angle between beam and interface's normal
        steep /= steep + np.square(across * (np.float32(step) / scanner.line_spacing_mm)[:, None]) + np.float32(1e-6)
        echo += along * gain * np.square(steep) * np.float32(self.specular / 10)
        axial = self.axial_mm / step
        lateral = self.lateral_widths_mm(scanner) / scanner.line_spacing_mm
        # One scatterer a cell loses power to the spread; give it back, so that levels do not depend on the widths.
        power = np.sqrt(4 * np.pi * np.maximum(lateral, 0.3) * max(axial, 0.3)).astype(np.float32)
        quiet = np.float32(10 ** (self.noise_db / 20) * np.sqrt(2 * np.sqrt(np.pi) * max(axial, 0.3)))
        echo = spread_lateral(echo, lateral, self.side_lobe) * power[:, None]
        echo += echoes.noise * quiet
        envelope: Field = np.abs(spread_axial(echo, axial))
        later = round(self.reverberation_mm / step)
        if 0 < later < DEPTHS:
            envelope[later:] += np.float32(self.reverberation) * envelope[:-later].copy()
        near = self.clutter * np.exp(-np.maximum(scanner.depth_mm, 0) / self.clutter_mm)
        envelope += near.astype(np.float32)[:, None]
        return envelope

    def compressed(self, envelope: Field) -> Field:
        """Amplitudes to a picture of 0..1."""
        if self.smoothing:
            smooth = ndimage.gaussian_filter(envelope, (0.8, 1.8))
            envelope = envelope + np.float32(self.smoothing) * (smooth - envelope)
        level = np.log10(np.maximum(envelope, np.float32(1e-5)))
        picture: Field = level * np.float32(20 / self.dynamic_range_db) + np.float32(self.grey_level)
        np.clip(picture, 0, 1, out=picture)
        return picture ** np.float32(self.gamma)

    def lateral_widths_mm(self, scanner: Scanner) -> Field:
        """(DEPTHS,) standard deviation of the main lobe at each depth."""
        away = (scanner.depth_mm - np.float32(self.focus_mm)) / np.float32(self.focal_length_mm)
        width: Field = np.float32(self.lateral_mm) * np.sqrt(1 + away**2)
        return width


def draw_beam(rng: np.random.Generator, deepest_mm: float, wavelength: float = 1.0) -> Beam:
    """A plausible obstetric setting, 4-8 MHz with harmonics; ranges are our own choice.

    wavelength: against such a setting; a small-parts probe has about half of it.
    """
    return Beam(
        axial_mm=wavelength * float(rng.uniform(0.15, 0.3)),
        lateral_mm=wavelength * float(np.exp(rng.uniform(np.log(0.26), np.log(0.62)))),
        focus_mm=deepest_mm * float(rng.uniform(0.35, 0.8)),
        focal_length_mm=float(rng.uniform(45, 110)),
        side_lobe=float(rng.uniform(0.0, 0.08)),
        specular=float(rng.uniform(0.3, 1.6)),
        edge_db=float(rng.uniform(0.0, 0.25)),
        reverberation=float(rng.uniform(0.0, 0.04)),
        reverberation_mm=float(rng.uniform(6, 25)),
        clutter=float(rng.uniform(0.0, 0.3)),
        clutter_mm=float(rng.uniform(6, 25)),
        noise_db=float(rng.uniform(-60, -32)),
        dynamic_range_db=float(rng.uniform(36, 58)),
        grey_level=float(rng.uniform(0.34, 0.56)),
        gamma=float(rng.uniform(0.9, 1.6)),
        smoothing=float(rng.choice([0.0, rng.uniform(0.4, 1.0)], p=[0.15, 0.85])),
    )


def draw_gain(rng: np.random.Generator) -> Field:
    """(DEPTHS, LINES) dB: depth gain as an operator leaves it, and lines that lost contact or pass a rib."""
    depth = np.interp(np.linspace(0, 1, DEPTHS), np.linspace(0, 1, 5), rng.normal(0, 2.0, 5))
    contact = ndimage.gaussian_filter1d(rng.standard_normal(LINES), LINES / 25)
    contact /= max(float(contact.std()), 1e-6)
    lost = np.minimum(contact + rng.uniform(0.5, 2.5), 0) * rng.uniform(1, 8)
    gain: Field = (depth[:, None] + lost[None, :]).astype(np.float32)
    return gain


def spread_axial(echo: Scatterers, width: float) -> Scatterers:
    """Convolve along depth with a Gaussian of ``width`` samples and unit sum."""
    length = fft.next_fast_len(echo.shape[0] + round(3 * width) + 1)
    transfer = _gaussian(fft.fftfreq(length), np.float32(max(width, 0.1)))
    spectrum = fft.fft(echo, length, axis=0)
    spectrum *= transfer[:, None]
    spread: Scatterers = fft.ifft(spectrum, axis=0, overwrite_x=True)[: echo.shape[0]]
    return spread


def spread_lateral(echo: Scatterers, widths: Field, side_lobe: float) -> Scatterers:
    """Convolve each depth across the lines with its own Gaussian of ``widths`` (depths,) lines and unit sum."""
    length = fft.next_fast_len(echo.shape[1] + round(3 * float(widths.max())) + 1)
    frequency = fft.fftfreq(length)[None, :]
    wide = np.maximum(widths, np.float32(0.1))[:, None]
    transfer = np.float32(1 - side_lobe) * _gaussian(frequency, wide)
    if side_lobe:
        transfer += np.float32(side_lobe) * _gaussian(frequency, np.float32(SIDE_LOBE_WIDTH) * wide)
    spectrum = fft.fft(echo, length, axis=1)
    spectrum *= transfer
    spread: Scatterers = fft.ifft(spectrum, axis=1, overwrite_x=True)[:, : echo.shape[1]]
    return spread


def _gaussian(frequency: Field, width: Field | np.float32) -> Field:
    transfer: Field = np.exp((-2 * np.pi**2 * np.square(frequency) * np.square(width)).astype(np.float32))
    return transfer
