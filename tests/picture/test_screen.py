"""The sector of a screen, found among a scanner's furniture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels
from edge3vt.picture.screen import Inside, screen

HEIGHT, WIDTH = 330, 440


def sector() -> Inside:
    corners = np.array([[150, 50], [300, 50], [420, 310], [40, 310]])
    return np.asarray(cv2.fillConvexPoly(np.zeros((HEIGHT, WIDTH), np.uint8), corners, 1)) > 0


def speckle() -> Pixels:
    grain = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((HEIGHT, WIDTH)), (1, 2))
    return np.where(sector(), np.clip(90 + 35 * grain / grain.std(), 0, 255), 0).astype(np.uint8)


def furnished(picture: Pixels) -> Pixels:
    """The picture on a scanner's screen, RGB: a bar, letters, a grey scale, depth marks and a green logo."""
    rgb = np.repeat(picture[..., None], 3, axis=2)
    rgb[10:50, 60:430] = np.linspace(20, 34, 40, dtype=np.uint8)[:, None, None]
    cv2.putText(rgb, "RAB4-8-D/OB MI 0.6", (150, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230, 230, 230), 1)
    for line, text in enumerate(("Cardiac", "Har-low", "Gn 3")):
        cv2.putText(rgb, text, (375, 75 + 16 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (190, 190, 190), 1)
    rgb[60:200, 3:11] = np.linspace(250, 10, 140, dtype=np.uint8)[:, None, None]
    rgb[60:310:25, 30:33] = 230
    cv2.circle(rgb, (90, 70), 8, (20, 180, 30), -1)
    cv2.line(rgb, (150, 180), (300, 180), (220, 200, 20), 1)
    return rgb


def test_the_sector_is_found_without_the_furniture() -> None:
    bare, inside = speckle(), sector()
    for pixels in (bare, furnished(bare)):
        found = screen("5", pixels)
        both, either = (found.inside & inside).sum(), (found.inside | inside).sum()
        assert both / either > 0.93
        assert (found.inside & ~inside).sum() < 0.02 * inside.sum()
    changed = furnished(bare).max(axis=2) != bare
    assert changed.sum() > 10_000
    assert not (found.inside & changed).any()


def test_a_picture_without_a_sector_is_refused() -> None:
    with pytest.raises(DataError, match="no sector found"):
        screen("black.png", np.zeros((200, 300), np.uint8))


def test_a_black_hole_inside_stays_inside_and_the_cut_is_black_around() -> None:
    picture = speckle()
    picture[150:200, 180:260] = 0
    found = screen("hole", picture)
    assert found.inside[150:200, 180:260].all()
    cut = found.cut()
    assert 255 < cut.shape[0] <= 262
    assert not cut[5, 5]
