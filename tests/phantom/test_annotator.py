"""The simulated annotator: how far from the exact mask, and in which way."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from edge3vt.core.anatomy import SCORED, ZALEL_2004, Structure
from edge3vt.phantom.annotator import Annotator, draw_annotator
from edge3vt.phantom.cine import Scene

PA, ARCH, SVC, TRACHEA = SCORED
EXACT = Annotator(0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
MM_PER_PX = 0.12
SIZE = 360


AXIS = np.arange(SIZE, dtype=np.float32) * MM_PER_PX


def disc(x_mm: float, y_mm: float, radius_mm: float) -> np.ndarray:
    return (AXIS[None, :] - x_mm) ** 2 + (AXIS[:, None] - y_mm) ** 2 < radius_mm**2


@cache
def view(weeks: float) -> np.ndarray:
    """A coarse three-vessel-trachea view with diameters of that age; pulmonary artery and arch touch at their ends."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    half = {s: line.diameter_mm(weeks) / 2 for s, line in ZALEL_2004.items()}
    for structure, x in ((ARCH, 18.0), (PA, 26.0)):
        for t in np.linspace(0, 1, 60):
            mask[disc(x + (22 - x) * t, 8 + 18 * t, half[structure])] = structure
    mask[disc(11, 12, half[SVC])] = SVC
    mask[disc(14, 24, (0.12 * weeks - 0.5) / 2)] = TRACHEA
    mask[disc(22, 35, 3.5)] = Structure.SPINE
    return mask


def dice(a: np.ndarray, b: np.ndarray, structure: int) -> float:
    a, b = a == structure, b == structure
    return 2 * float((a & b).sum()) / max(float(a.sum() + b.sum()), 1.0)


def test_an_annotator_without_faults_draws_the_exact_mask() -> None:
    for weeks in (18.0, 27.0, 36.0):
        mask = view(weeks)
        np.testing.assert_array_equal(EXACT.annotate(mask, MM_PER_PX, np.random.default_rng(1)), mask)


def test_drawing_is_repeatable_and_leaves_the_mask_alone() -> None:
    mask = view(25)
    before, person = mask.copy(), draw_annotator(np.random.default_rng(3))
    a, b, c = (person.annotate(mask, MM_PER_PX, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(mask, before)
    assert (a != c).any()
    assert a.dtype == np.uint8


def test_jitter_has_the_size_and_length_asked_for() -> None:
    """Radii of a large disc, as drawn: their SD over angles and drawings, and their correlation along the rim."""
    mask = np.where(disc(21.6, 21.6, 15), PA, 0).astype(np.uint8)
    person = replace(EXACT, jitter_mm=0.5, correlation_mm=2.0)
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    r = np.arange(10, 20, 0.02)
    curves = []
    for seed in range(40):
        drawn = person.annotate(mask, MM_PER_PX, np.random.default_rng(seed)) > 0
        x, y = (21.6 + np.multiply.outer(side, r) for side in (np.cos(angles), np.sin(angles)))
        inside = ndimage.map_coordinates(drawn.astype(np.float32), [y / MM_PER_PX, x / MM_PER_PX], order=1) > 0.5
        curves.append(inside.sum(axis=1) * 0.02)
    moved = np.array(curves) - np.mean(curves)
    assert moved.std() == pytest.approx(0.5, rel=0.1)
    arc_mm = 15 * np.radians(1)
    lag = round(2 * 2.0 / arc_mm)  # noise smoothed by a Gaussian of SD s correlates as one of SD s * sqrt(2)
    correlation = (moved * np.roll(moved, lag, axis=1)).mean() / moved.var()
    assert correlation == pytest.approx(np.exp(-0.25 * (lag * arc_mm / 2.0) ** 2), abs=0.12)


@pytest.mark.parametrize("bias_mm", [-0.3, 0.3])
def test_bias_widens_or_narrows_by_its_millimetres(bias_mm: float) -> None:
    mask = np.where(disc(21.6, 21.6, 6), SVC, 0).astype(np.uint8)
    drawn = replace(EXACT, bias_mm=bias_mm).annotate(mask, MM_PER_PX, np.random.default_rng(0))
    radius = np.sqrt((drawn > 0).sum() / np.pi) * MM_PER_PX
    assert radius == pytest.approx(6 + bias_mm, abs=MM_PER_PX / 2)


def test_clicked_points_cut_corners() -> None:
    mask = np.where(disc(21.6, 21.6, 5), SVC, 0).astype(np.uint8)
    drawn = replace(EXACT, click_mm=3.0).annotate(mask, MM_PER_PX, np.random.default_rng(0))
    assert not (drawn[mask == 0]).any()
    points = round(2 * np.pi * 5 / 3)
    polygon = points / 2 * np.sin(2 * np.pi / points) / np.pi  # share of the circle's area
    assert (drawn > 0).sum() / (mask > 0).sum() == pytest.approx(polygon, abs=0.02)


def test_small_structures_are_missed_as_often_as_said() -> None:
    person = replace(EXACT, half_missed_mm=1.0, half_missed_px=3.0, lapse_rate=0.02)
    assert person.missed(1.0, 0.01) == pytest.approx(0.51, abs=0.001)
    assert person.missed(3.0, 1.0) == pytest.approx(0.51, abs=0.001)
    assert person.missed(10.0, 0.1) == pytest.approx(0.02, abs=0.001)
    mask = np.where(disc(20, 20, 0.62), TRACHEA, 0).astype(np.uint8)
    mask[disc(30, 30, 3)] = SVC
    drawn = [person.annotate(mask, MM_PER_PX, np.random.default_rng(seed)) for seed in range(300)]
    missed = np.mean([not (d == TRACHEA).any() for d in drawn])
    distance = ndimage.distance_transform_edt(mask == TRACHEA).max() - 0.5
    assert missed == pytest.approx(person.missed(2 * distance * MM_PER_PX, MM_PER_PX), abs=0.08)
    assert np.mean([not (d == SVC).any() for d in drawn]) < 0.06


def test_the_border_of_pulmonary_artery_and_arch_moves_and_nothing_else() -> None:
    mask = view(30)
    person = replace(EXACT, border_mm=1.0)
    touching = ndimage.binary_dilation(mask == PA) & (mask == ARCH)
    first = (np.flatnonzero(touching.any(axis=1)).min() - 1) * MM_PER_PX
    shares = []
    for seed in range(30):
        drawn = person.annotate(mask, MM_PER_PX, np.random.default_rng(seed))
        np.testing.assert_array_equal(drawn > 0, mask > 0)
        changed = drawn != mask
        assert set(np.unique(mask[changed])) <= {PA, ARCH}
        rows = np.flatnonzero(changed.any(axis=1)) * MM_PER_PX
        assert not len(rows) or rows.min() >= first - 4 * 1.0  # where the two touch, not at their free ends
        shares.append((drawn == PA).sum() / (mask == PA).sum())
    assert 0.005 < np.std(shares) < 0.2
    assert np.mean(shares) == pytest.approx(1, abs=0.05)


def test_vein_and_trachea_are_confused_as_often_as_said() -> None:
    mask = view(30)
    person = replace(EXACT, swap_rate=0.3)
    swapped = [
        bool((person.annotate(mask, MM_PER_PX, np.random.default_rng(seed))[mask == SVC] == TRACHEA).all())
        for seed in range(60)
    ]
    assert np.mean(swapped) == pytest.approx(0.3, abs=0.15)


def test_a_mask_that_fills_the_picture_or_is_empty() -> None:
    person = draw_annotator(np.random.default_rng(0))
    assert not person.annotate(np.zeros((20, 20), np.uint8), 0.1, np.random.default_rng(0)).any()
    full = np.full((20, 20), Structure.SPINE, np.uint8)
    assert replace(EXACT, jitter_mm=0.1).annotate(full, 0.1, np.random.default_rng(0)).all()


def test_people_agree_with_the_exact_mask_within_a_band() -> None:
    """Of 150 phantoms, 18-36 weeks at 512 px, each by another person, with what was not drawn as 0: see annotator."""
    scores: dict[int, list[float]] = {s: [] for s in (*SCORED, Structure.SPINE)}
    for seed in range(40):
        scene = Scene(100 + seed, 512, 512)
        mask = scene.truth(0.3)
        drawn = draw_annotator(np.random.default_rng([seed, 9])).annotate(
            mask, scene.mm_per_px, np.random.default_rng([seed, 5])
        )
        for structure, values in scores.items():
            if (mask == structure).sum() >= 4:
                values.append(dice(mask, drawn, structure))
    means = {structure: float(np.mean(values)) for structure, values in scores.items()}
    assert means[PA] == pytest.approx(0.949, abs=0.02)
    assert means[ARCH] == pytest.approx(0.940, abs=0.02)
    assert means[SVC] == pytest.approx(0.836, abs=0.1)
    assert means[TRACHEA] == pytest.approx(0.853, abs=0.1)
    assert means[Structure.SPINE] == pytest.approx(0.961, abs=0.015)
