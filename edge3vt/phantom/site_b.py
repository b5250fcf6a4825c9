"""Site B: a second image formation, separate from site A's, that no training sees.

What differs, beside probes and furniture (``scanner``): scatterers that are few in a resolution cell, so that the
envelope is K-distributed (Jakeman and Tough 1987; Shankar 1993, IEEE Trans Med Imaging 12:687), a pulse that rises
fast and rings down, an unapodised aperture (across the beam sinc^2 at every depth), the mean of two frequency bands'
envelopes (Trahey et al. 1986, IEEE Trans UFFC 33:257), and compression by a power instead of a logarithm. Ranges are
our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from edge3vt.phantom.acoustics import DARKEST_DB, Echoes
from edge3vt.phantom.canvas import TISSUE_DB_PER_MM
from edge3vt.phantom.scanner import Scanner
from edge3vt.phantom.texture import Field, Scatterers


@dataclass(frozen=True, slots=True)
class Aperture:
    """The imaging system of site B. pulse_mm: time constant of the ringing. aperture_mm: width of the probe in use."""

    wavelength_mm: float
    pulse_mm: float
    aperture_mm: float
    clumping: float  # shape of the gamma law of scatterer power; small is sparse
    specular: float
    noise: float
    power: float  # of the compression
    contrast: float  # steepness of the grey map
    middle: float  # amplitude that becomes middle grey

    def picture(self, echoes: Echoes, scanner: Scanner) -> Field:
        """The compressed picture of 0..1."""
        raised = self.envelope(echoes, scanner) ** np.float32(self.power)
        level = (raised - np.float32(self.middle**self.power)) * np.float32(self.contrast)
        picture: Field = np.float32(0.5) + np.float32(0.5) * np.tanh(level)
        floor = np.float32(0.5 - 0.5 * np.tanh(self.middle**self.power * self.contrast))
        return (picture - floor) / (1 - floor)

    def envelope(self, echoes: Echoes, scanner: Scanner) -> Field:
        """(DEPTHS, LINES) echo amplitude: the mean of two bands."""
        step = scanner.depth_step_mm
        lost = (echoes.absorption - np.float32(TISSUE_DB_PER_MM)) * np.float32(step)
        gain = np.exp((echoes.gain_db - np.cumsum(lost, axis=0)) * np.float32(np.log(10) / 20))
        # The power of a scatterer follows a gamma law: the quantile of its own phase keeps it with the tissue.
        share = (np.angle(echoes.scatterers) / np.float32(2 * np.pi) + np.float32(0.5)).astype(np.float32)
        sparse = (-np.log(np.clip(share, 1e-4, 1 - 1e-6))) ** np.float32(0.5 / self.clumping)
        echo = echoes.scatterers * (sparse * echoes.amplitude * gain)
        level = np.maximum(echoes.level, np.float32(DARKEST_DB))
        echo[1:] += np.abs(np.diff(level, axis=0)) * gain[1:] * np.float32(self.specular / 10)
        depth = np.maximum(scanner.depth_mm, 5)
        lateral = (self.wavelength_mm * depth / self.aperture_mm) / scanner.line_spacing_mm
        echo = _across(echo, np.maximum(lateral, 0.7).astype(np.float32))
        echo += echoes.noise * np.float32(self.noise)
        bands = [np.abs(_along(echo, self.pulse_mm / step, shift)) for shift in (-0.06, 0.06)]
        total: Field = bands[0] + bands[1]
        return total * np.float32(0.5)


def draw_aperture(rng: np.random.Generator, wavelength: float = 1.0) -> Aperture:
    """A setting of site B; wavelength as in ``acoustics.draw_beam``."""
    return Aperture(
        wavelength_mm=wavelength * float(rng.uniform(0.3, 0.5)),
        pulse_mm=wavelength * float(rng.uniform(0.18, 0.32)),
        aperture_mm=float(rng.uniform(20, 34)),
        clumping=float(rng.uniform(0.7, 2.0)),
        specular=float(rng.uniform(0.2, 0.6)),
        noise=float(rng.uniform(0.004, 0.03)),
        power=float(rng.uniform(0.3, 0.5)),
        contrast=float(rng.uniform(1.1, 1.9)),
        middle=float(rng.uniform(0.7, 1.4)),
    )


def _across(echo: Scatterers, widths: Field) -> Scatterers:
    """Two-way beam of a rectangular aperture: sinc^2 across, a triangle in frequency; unit power of scatterers."""
    length = fft.next_fast_len(echo.shape[1] + round(6 * float(widths.max())) + 1)
    frequency = np.abs(fft.fftfreq(length)).astype(np.float32)[None, :]
    transfer = np.maximum(1 - frequency * widths[:, None], 0)
    transfer /= np.sqrt(np.mean(transfer**2, axis=1, keepdims=True))
    spectrum = fft.fft(echo, length, axis=1)
    spectrum *= transfer
    spread: Scatterers = fft.ifft(spectrum, axis=1, overwrite_x=True)[:, : echo.shape[1]]
    return spread


def _along(echo: Scatterers, pulse: float, shift: float) -> Scatterers:
    """A pulse t exp(-t) of ``pulse`` samples, shifted in frequency by ``shift`` cycles a sample; unit power."""
    t = np.arange(max(round(8 * pulse), 2), dtype=np.float32) / np.float32(max(pulse, 0.3))
    kernel = t * np.exp(-t) * np.exp(2j * np.pi * shift * np.arange(len(t)))
    kernel /= np.sqrt(np.sum(np.abs(kernel) ** 2))
    length = fft.next_fast_len(echo.shape[0] + len(t))
    spectrum = fft.fft(echo, length, axis=0)
    spectrum *= fft.fft(kernel.astype(np.complex64), length)[:, None]
    late = round(2 * pulse)  # the pulse's middle comes after its echo
    spread: Scatterers = fft.ifft(spectrum, axis=0, overwrite_x=True)[late : late + echo.shape[0]]
    return spread
