"""Random fields cut from banks."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.phantom.texture import SCALES_CELLS, complex_noise, scatterers, smooth, uneven


def test_scatterers_have_unit_power_and_are_circular() -> None:
    field = scatterers()
    assert np.mean(np.abs(field) ** 2) == pytest.approx(1, rel=0.01)
    assert abs(np.mean(field**2)) < 0.01
    assert not field.flags.writeable
    assert np.mean(np.abs(complex_noise(np.random.default_rng(0), (300, 300))) ** 2) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("scale", range(len(SCALES_CELLS)))
def test_a_smooth_field_has_unit_variance_and_its_scale(scale: int) -> None:
    fields = [smooth(np.random.default_rng(seed), 512, scale) for seed in range(12)]
    assert np.mean([f.var() for f in fields]) == pytest.approx(1, abs=0.35)
    lag = round(2 * SCALES_CELLS[scale])  # there a Gaussian-smoothed field correlates by 1/e
    shared = np.mean([(f[lag:] * f[:-lag]).mean() / f.var() for f in fields])
    assert shared == pytest.approx(np.exp(-1), abs=0.2)


def test_a_seed_gives_the_same_field_and_another_seed_another() -> None:
    a, b, c = (uneven(np.random.default_rng(seed), 128, (1, 2, 3)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
