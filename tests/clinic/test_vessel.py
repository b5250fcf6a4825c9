from __future__ import annotations

import numpy as np
import pytest

from edge3vt.clinic import vessel
from edge3vt.clinic.vessel import Points, course, pieces
from edge3vt.core.segmentation import Mask
from tests.clinic.drawn import blank, disc, others, piece, tube


def width_of(mask: Mask, label: int = 1) -> float:
    """The median width of the middle half of a course."""
    found = course(piece(mask, label), others(mask, label))
    assert found is not None
    quarter = len(found.width_px) // 4
    return float(np.median(found.width_px[quarter:-quarter]))


def straight(angle: float, width: float) -> Mask:
    way = 80 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    middle = np.array([127.3, 128.9])
    return tube(blank(), 1, [tuple(middle - way), tuple(middle + way)], width)


@pytest.mark.parametrize("angle", [4, 17, 38, 71, 86, 130])
@pytest.mark.parametrize("width", [5.3, 12.4, 25.0])
def test_the_width_of_a_tube_is_right_to_a_fraction_of_a_pixel(angle: float, width: float) -> None:
    assert width_of(straight(angle, width)) == pytest.approx(width, abs=0.3)


@pytest.mark.parametrize("angle", [0, 45, 90])
def test_along_the_pixels_a_width_is_as_near_as_whole_pixels_can_tell(angle: float) -> None:
    assert width_of(straight(angle, 12.4)) == pytest.approx(12.4, abs=0.75)


def test_a_bent_vessel_has_its_width_too() -> None:
    t = np.linspace(0, np.pi, 40)
    arc = [(128 + 70 * np.cos(a), 100 + 70 * np.sin(a)) for a in t]
    assert width_of(tube(blank(), 1, arc, 15.0)) == pytest.approx(15.0, abs=0.3)


def test_the_course_runs_from_tip_to_tip_through_the_middle() -> None:
    found = course(piece(tube(blank(), 1, [(40, 60), (200, 60)], 16), 1), blank() > 0)
    assert found is not None
    assert found.along_px[-1] == pytest.approx(176, abs=3)
    assert np.abs(found.line[10:-10, 1] - 60).max() < 0.2
    assert found.reversed().line[0] == pytest.approx(found.line[-1])


def test_a_width_along_the_course_instead_of_across_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = tube(blank(), 1, [(40, 60), (120, 60)], 16)
    walls = vessel._walls

    def along(field: np.ndarray, line: Points, reach: float) -> tuple[Points, Points]:
        turned = (line - line.mean(axis=0)) @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + line.mean(axis=0)
        return walls(field, turned, 3 * reach)

    monkeypatch.setattr(vessel, "_walls", along)
    found = course(piece(mask, 1), others(mask, 1))
    assert found is None or abs(float(np.nanmedian(found.width_px)) - 16) > 3


def test_a_wall_that_lies_against_another_structure_is_not_free() -> None:
    mask = tube(blank(), 1, [(30, 100), (220, 100)], 20)
    tube(mask, 2, [(125, 118), (220, 118)], 16)
    found = course(piece(mask, 1), others(mask, 1))
    assert found is not None
    x = found.line[:, 0]
    assert found.free[(x > 50) & (x < 100)].all()
    assert not found.free[(x > 140) & (x < 200)].any()


def test_what_is_cut_across_has_no_course() -> None:
    for mask in (disc(blank(), 1, (100, 100), 20), tube(blank(), 1, [(100, 100), (108, 100)], 20)):
        assert course(piece(mask, 1), blank() > 0) is None


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_line_has_a_course_or_none_but_breaks_nothing(width: int) -> None:
    mask = blank()
    mask[100 : 100 + width, 30:200] = 1
    found = course(piece(mask, 1), blank() > 0)
    assert found is None or np.nanmedian(found.width_px) < 4


def test_pieces_come_largest_first_without_specks() -> None:
    mask = disc(disc(disc(blank(), 3, (50.3, 50.4), 10), 3, (120.3, 50.4), 16), 3, (200, 50), 4)
    found = pieces(mask, 3)
    assert [part.diameter_px for part in found] == pytest.approx([16, 10], abs=0.6)
    assert found[0].at == pytest.approx((120.3, 50.4), abs=0.1)
    assert not found[0].cut
    assert found[0].ratio == pytest.approx(1, abs=0.05)
    assert pieces(mask, 2) == ()


def test_a_pixel_is_no_piece_and_what_touches_the_edge_is_cut() -> None:
    mask = blank()
    mask[7, 9] = 1
    assert pieces(mask, 1) == ()
    for at in ((0, 128), (255, 128), (128, 0), (128, 255)):
        assert piece(disc(blank(), 1, at, 20), 1).cut


def test_a_structure_that_fills_the_mask_is_cut() -> None:
    assert piece(np.ones((64, 64), np.uint8), 1).cut
