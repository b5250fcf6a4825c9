"""Random fields, made once a process from a fixed seed and cut anew for each scene: cheap, and the same for a seed."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Field = NDArray[np.float32]
Scatterers = NDArray[np.complex64]
BANK = 1024  # samples a side; a power of two, the fields are periodic
SEED = 0x7E57
SCALES_CELLS = (2.5, 9.0, 30.0)  # standard deviations of the Gaussian that smooths white noise


def uneven(rng: np.random.Generator, size: int, spread_db: tuple[float, float, float]) -> Field:
    """(size, size) dB: the sum of three smooth fields of these standard deviations, from lobules to regions."""
    total: Field = np.zeros((size, size), dtype=np.float32)
    for scale, spread in enumerate(spread_db):
        total += np.float32(spread) * smooth(rng, size, scale)
    return total


def smooth(rng: np.random.Generator, size: int, scale: int) -> Field:
    """(size, size), a view: a Gaussian field of unit variance, smoothed by SCALES_CELLS[scale]."""
    row, column = rng.integers(0, BANK - size + 1, 2)
    cut = _smooth_bank()[scale, row : row + size, column : column + size]
    turned = (cut, cut.T)[rng.integers(2)]
    return turned[:: 1 - 2 * int(rng.integers(2)), :: 1 - 2 * int(rng.integers(2))]


@cache
def scatterers() -> Scatterers:
    """(BANK, BANK) circular complex Gaussian scatterers of unit power; read-only."""
    field = complex_noise(np.random.default_rng([SEED, 1]), (BANK, BANK))
    field.flags.writeable = False
    return field


def grain(x_mm: Field, y_mm: Field, cell_mm: float, corner: NDArray[np.int64]) -> Scatterers:
    """The scatterers at points of a plane: those of the nearest cell of ``cell_mm``, of the bank from ``corner`` on.

    Points closer together than a cell share its scatterer.
    """
    row = np.rint(y_mm * np.float32(1 / cell_mm)).astype(np.int32) + np.int32(corner[0])
    column = np.rint(x_mm * np.float32(1 / cell_mm)).astype(np.int32) + np.int32(corner[1])
    cells: Scatterers = scatterers().ravel()[(row & (BANK - 1)) * BANK + (column & (BANK - 1))]
    return cells


def complex_noise(rng: np.random.Generator, shape: tuple[int, int]) -> Scatterers:
    """Circular complex Gaussian noise of unit power."""
    pair = rng.standard_normal((*shape, 2), dtype=np.float32) * np.float32(np.sqrt(0.5))
    noise: Scatterers = pair.view(np.complex64)[..., 0]
    return noise


@cache
def _smooth_bank() -> Field:
    rng = np.random.default_rng([SEED, 2])
    frequency = fft.fftfreq(BANK).astype(np.float32)
    square = frequency[:, None] ** 2 + frequency[None, : BANK // 2 + 1] ** 2
    bank = np.empty((len(SCALES_CELLS), BANK, BANK), dtype=np.float32)
    for field, scale in zip(bank, SCALES_CELLS, strict=True):
        white = fft.rfft2(rng.standard_normal((BANK, BANK), dtype=np.float32))
        field[:] = fft.irfft2(white * np.exp(np.float32(-2 * np.pi**2 * scale**2) * square), (BANK, BANK))
        field /= field.std()
    bank.flags.writeable = False
    return bank
