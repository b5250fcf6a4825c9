"""Site B: a second image formation, separate from site A's, that no training sees.

What differs, beside probes and furniture (``scanner``): scatterers whose power follows a gamma law, so that few count
in a resolution cell and the envelope has heavier tails than Rayleigh's, as K-distributed speckle has (Jakeman and
Tough 1987; Shankar 1993, IEEE Trans Med Imaging 12:687); a pulse that rises fast and rings down; an unapodised
aperture (across the beam sinc^2 at every depth); the mean of two frequency bands' envelopes (Trahey et al. 1986, IEEE
Trans UFFC 33:257); and compression by a power instead of a logarithm. Ranges are our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, special

from edge3vt.phantom.acoustics import DARKEST_DB, Echoes
from edge3vt.phantom.canvas import TISSUE_DB_PER_MM
from edge3vt.phantom.scanner import Scanner
from edge3vt.phantom.texture import Field, Scatterers

QUANTILES = 4096
BAND_PER_MM = 0.8  # cycles a mm, from the middle of the pulse's band to that of either half


@dataclass(frozen=True, slots=True)
class Aperture:
    """The imaging system of site B. pulse_mm: time constant of the ringing. aperture_mm: width of the probe in use."""

    wavelength_mm: float
    pulse_mm: float
    aperture_mm: float
    clumping: float  # shape of the gamma law of a scatterer's power; 1 is Gaussian scatterers, less is sparser
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
        echo = self._clumped(echoes.scatterers) * (echoes.amplitude * gain)
        level = np.maximum(echoes.level, np.float32(DARKEST_DB))
        echo[1:] += np.abs(np.diff(level, axis=0)) * gain[1:] * np.float32(self.specular / 10)
        depth = np.maximum(scanner.depth_mm, 5)
        lateral = (self.wavelength_mm * depth / self.aperture_mm) / scanner.line_spacing_mm
        echo = _across(echo, np.maximum(lateral, 0.7).astype(np.float32))
        echo += echoes.noise * np.float32(self.noise)
        bands = [np.abs(_along(echo, self.pulse_mm / step, shift * step)) for shift in (-BAND_PER_MM, BAND_PER_MM)]
        total: Field = bands[0] + bands[1]
        return total * np.float32(0.5)

    def _clumped(self, scatterers: Scatterers) -> Scatterers:
        """The scatterers with their power's exponential law replaced, quantile by quantile, by the gamma law."""
        power = np.square(scatterers.real) + np.square(scatterers.imag)
        place = (np.float32(QUANTILES) * -np.expm1(-power)).astype(np.int32)
        law = special.gammaincinv(self.clumping, (np.arange(QUANTILES + 1) + 0.5) / (QUANTILES + 1)) / self.clumping
        ratio = np.sqrt(law.astype(np.float32)[place] / np.maximum(power, np.float32(1e-9)))
        clumped: Scatterers = scatterers * ratio
        return clumped


def draw_aperture(rng: np.random.Generator, wavelength: float = 1.0) -> Aperture:
    """A setting of site B; wavelength as in ``acoustics.draw_beam``."""
    return Aperture(
        wavelength_mm=wavelength * float(rng.uniform(0.3, 0.5)),
        pulse_mm=wavelength * float(rng.uniform(0.18, 0.32)),
        aperture_mm=float(rng.uniform(20, 34)),
        clumping=float(rng.uniform(0.04, 0.25)),
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
