"""The geometry of a scanner's picture, for each probe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.core.frame import Region
from edge3vt.phantom.scanner import COVERED, DEPTHS, LINES, Probe, Scanner, Setup, draw_setup

PROBES: tuple[Probe, ...] = ("convex", "sector", "linear")


def setup(seed: int, probe: Probe | None = None, *, zoomed: bool | None = None, size: int = 320) -> Setup:
    drawn = draw_setup(np.random.default_rng(seed), size, size, probe=probe)
    return drawn if zoomed is None else replace(drawn, zoom_mm=70.0 if zoomed else None)


def grown(scanner: Scanner) -> np.ndarray:
    """Pixels of the region that are imaged and two pixels away from any that is not."""
    padded = np.pad(scanner.imaged, 2)
    h, w = scanner.imaged.shape
    return np.logical_and.reduce([padded[i : i + h, j : j + w] for i in range(5) for j in range(5)])


@pytest.mark.parametrize("zoomed", [False, True])
@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("axis", [0, 1])
def test_what_is_at_a_place_in_mm_is_drawn_there(probe: Probe, zoomed: bool, axis: int) -> None:
    """A picture whose level is the millimetre itself: each pixel must show its own, within half a pixel."""
    for seed in range(4):
        scanner = setup(seed, probe, zoomed=zoomed and probe != "linear").scanner(80.0)
        sample = scanner.sample_mm[axis]
        low, high = float(sample.min()), float(sample.max())
        # uint8 holds 1 part in 255: read slices of the range, each stretched over all levels.
        checked = 0
        for start in np.arange(low, high, 16.0):
            picture = scanner.picture(((sample - np.float32(start)) / np.float32(16)).astype(np.float32))
            shown = start + picture.astype(np.float32) / 255 * 16
            expected = np.broadcast_to(
                scanner.pixel_mm[0][None, :] if axis == 0 else scanner.pixel_mm[1][:, None], scanner.imaged.shape
            )
            inside = scanner.imaged & (expected > start + 0.5) & (expected < start + 15.5)
            error = np.abs(shown - expected)[inside]
            assert not inside.any() or error.max() <= scanner.mm_per_px / 2
            checked += int(inside.sum())
        assert checked > 0.8 * scanner.imaged.sum()


@pytest.mark.parametrize("probe", PROBES)
def test_samples_lie_on_their_beams_at_their_depths(probe: Probe) -> None:
    for seed in range(6):
        scanner = setup(seed, probe).scanner(75.0)
        assert scanner.sample_mm.shape == (2, DEPTHS, LINES)
        assert scanner.sample_mm.dtype == scanner.depth_mm.dtype == np.float32
        np.testing.assert_allclose(np.diff(scanner.depth_mm), scanner.depth_step_mm, atol=1e-3)
        steps = np.diff(scanner.sample_mm, axis=1) / scanner.depth_step_mm
        np.testing.assert_allclose(np.hypot(*steps), 1, atol=2e-3)
        np.testing.assert_allclose(steps, np.broadcast_to(steps[:, :1], steps.shape), atol=4e-3)  # straight
        apart = np.hypot(*np.diff(scanner.sample_mm, axis=2))
        middle = int(np.argmin(np.abs(steps[0, 0])).clip(0, LINES - 2))
        np.testing.assert_allclose(apart[:, middle], scanner.line_spacing_mm, rtol=0.02, atol=1e-3)


def test_a_curved_face_bends_away_from_its_middle() -> None:
    whole = replace(setup(1, "convex", zoomed=False), rise=1.0, curvature_mm=50.0, half_angle=float(np.radians(30)))
    scanner = whole.scanner(100.0)
    x, z = scanner.sample_mm[:, 0, :]
    assert scanner.depth_mm[0] == 0
    np.testing.assert_allclose(np.hypot(x, z + 50.0 - 50.0 * (1 - np.cos(np.radians(30)))), 50.0, atol=0.01)
    assert not scanner.imaged[0, scanner.region.width // 2]  # the face bulges into the picture


def test_a_zoomed_sector_is_bounded_by_its_box() -> None:
    for seed in range(20):
        scanner = setup(seed, "convex", zoomed=True).scanner(50.0)
        middle = scanner.imaged[scanner.region.height // 2]
        assert middle.mean() >= COVERED - 0.02
        assert scanner.depth_mm[0] > 0
        columns = scanner.imaged.any(axis=0).nonzero()[0]
        assert scanner.imaged[:, columns[len(columns) // 2]].all()


def test_a_flat_probe_gives_a_rectangle_or_a_trapezoid() -> None:
    flat = replace(setup(3, "linear"), half_angle=0.0, aperture_mm=40.0, reach=1.2)
    imaged = flat.scanner(50.0).imaged
    assert (imaged == imaged[0]).all()
    assert imaged[0].mean() == pytest.approx(0.8, abs=0.01)
    steered = replace(flat, half_angle=float(np.radians(15))).scanner(80.0)
    wide = steered.imaged.sum(axis=1) * steered.mm_per_px
    assert wide[0] == pytest.approx(40, abs=1)
    row = 100
    expected = 40 + 2 * steered.pixel_mm[1][row] * np.tan(np.radians(15))
    assert wide[row] == pytest.approx(expected, abs=2 * steered.mm_per_px)


@pytest.mark.parametrize("probe", PROBES)
def test_a_narrow_sector_is_opened_where_the_region_would_be_mostly_black(probe: Probe) -> None:
    narrow = replace(setup(3, probe, zoomed=False), half_angle=float(np.radians(2)))
    scanner = narrow.scanner(70.0)
    assert scanner.imaged[scanner.region.height // 2].mean() == pytest.approx(COVERED, abs=0.03)


def test_another_depth_is_the_same_machine() -> None:
    machine = draw_setup(np.random.default_rng(5), 640, 512)
    near, far = machine.scanner(50.0), machine.scanner(100.0)
    assert near.region == far.region == machine.region
    assert far.mm_per_px == pytest.approx(2 * near.mm_per_px)
    changed = (near.furniture != far.furniture).mean()
    assert 0 < changed < 0.05  # the scale and the depth, not the rest


def test_a_seed_gives_the_same_machine_and_another_seed_another() -> None:
    polar = np.random.default_rng(0).random((DEPTHS, LINES), dtype=np.float32)
    a, b, c = (draw_setup(np.random.default_rng(seed), 512, 512).scanner(70.0).picture(polar) for seed in (5, 5, 6))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_the_ends_of_the_scale_are_black_and_white() -> None:
    scanner = setup(2).scanner(70.0)
    for level, expected in ((-0.5, 0), (0.0, 0), (0.5, 128), (1.0, 255), (7.0, 255)):
        shown = scanner.picture(np.full((DEPTHS, LINES), level, np.float32))[scanner.imaged]
        assert (shown == expected).all()


def test_small_pictures_and_bare_ones_have_no_furniture() -> None:
    rng = np.random.default_rng(1)
    for width, height, bare in ((320, 320, None), (800, 480, None), (975, 735, True)):
        machine = draw_setup(rng, width, height, bare=bare)
        assert machine.region == Region(0, 0, width, height)
        assert not machine.scanner(80.0).furniture.any()
    assert draw_setup(rng, 200, 200, bare=False).scanner(80.0).furniture.any()


def test_probes_are_mostly_convex_and_all_of_them_occur() -> None:
    for site, least in (("A", 0.75), ("B", 0.6)):
        probes = [draw_setup(np.random.default_rng(seed), 64, 64, site=site).probe for seed in range(400)]
        shares = {probe: probes.count(probe) / len(probes) for probe in PROBES}
        assert shares["convex"] > least
        assert min(shares.values()) > 0.03


@pytest.mark.parametrize("probe", PROBES)
def test_every_width_in_use_shows_enough(probe: Probe) -> None:
    for seed in range(30):
        machine = setup(seed, probe, size=128)
        for width_mm in (*machine.widths_mm, 45.0, 130.0):
            scanner = machine.scanner(width_mm)
            assert scanner.imaged.mean() > 0.2
            assert scanner.depth_step_mm > 0
            assert np.isfinite(scanner.sample_mm).all()
