"""Site B forms its images otherwise than site A."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.phantom.acoustics import draw_beam
from edge3vt.phantom.scanner import DEPTHS, LINES, Scanner, draw_setup
from edge3vt.phantom.site_b import Aperture, draw_aperture
from tests.phantom.test_acoustics import MIDDLE, echoes


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return draw_setup(np.random.default_rng(4), 512, 512, site="B", probe="linear").scanner(45.0)


def test_its_speckle_is_not_rayleigh_and_gets_rougher_with_fewer_scatterers(scanner: Scanner) -> None:
    def roughness(aperture: Aperture) -> float:
        seen = aperture.envelope(echoes(), scanner)[MIDDLE]
        return float((seen**4).mean() / (seen**2).mean() ** 2)  # 2 for a Rayleigh distribution, less for a mean of two

    drawn = [draw_aperture(np.random.default_rng(seed)) for seed in range(8)]
    for aperture in drawn:
        gaussian = roughness(replace(aperture, clumping=1.0))
        assert gaussian == pytest.approx(1.6, abs=0.35)
        assert roughness(aperture) > 1.15 * gaussian
    assert roughness(replace(drawn[0], clumping=0.03)) > 1.3 * roughness(replace(drawn[0], clumping=0.3))


def test_its_level_does_not_depend_on_the_widths(scanner: Scanner) -> None:
    drawn = draw_aperture(np.random.default_rng(0))
    fine, coarse = (
        float(np.sqrt((replace(drawn, wavelength_mm=w).envelope(echoes(), scanner)[MIDDLE] ** 2).mean()))
        for w in (0.3, 0.6)
    )
    assert fine == pytest.approx(coarse, rel=0.15)


def test_its_picture_is_between_black_and_white_and_brighter_where_more_scatters(scanner: Scanner) -> None:
    amplitude = np.full((DEPTHS, LINES), 0.1, np.float32)
    amplitude[:, LINES // 2 :] = 2
    picture = draw_aperture(np.random.default_rng(1)).picture(echoes(amplitude=amplitude), scanner)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture[:, LINES // 2 + 20 :].mean() > picture[:, : LINES // 2 - 20].mean() + 0.2


def test_one_tissue_looks_different_at_the_two_sites(scanner: Scanner) -> None:
    rng = np.random.default_rng(3)
    a = draw_beam(rng, 40.0).picture(echoes(), scanner)
    b = draw_aperture(rng).picture(echoes(), scanner)
    assert np.abs(a - b).mean() > 0.05
