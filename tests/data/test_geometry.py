"""Picture and mask see the same sampling, and the sampling is the one that the Geometry tells."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge3vt.core.frame import Frame, Pixels
from edge3vt.data.augment import Augmentation, draw_geometry
from edge3vt.data.geometry import Geometry, sampled, whole
from edge3vt.picture.crop import acquire, cut

HEIGHT, WIDTH, SIZE = 300, 380, 192
RADII = (70.0, 41.0)
GEOMETRIES = 40
EVERYTHING = replace(Augmentation(), sector_share=0.7, turn_share=0.8, close_share=0.5)


def ellipse(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether positions of the source lie in a tilted ellipse."""
    dx, dy = x - 170.3, y - 148.9
    return ((0.8 * dx + 0.6 * dy) / RADII[0]) ** 2 + ((0.8 * dy - 0.6 * dx) / RADII[1]) ** 2 < 1


def drawn_ellipse() -> Pixels:
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    return ellipse(x, y).astype(np.uint8)


def geometries() -> list[Geometry]:
    rng, mask = np.random.default_rng(11), drawn_ellipse()
    drawn = [draw_geometry(mask, 0.3 if i % 2 else None, EVERYTHING, rng, SIZE) for i in range(GEOMETRIES)]
    assert {g.affine for g in drawn} == {True, False}
    assert {g.mirrored for g in drawn} == {True, False}
    return drawn


def positions() -> tuple[np.ndarray, np.ndarray]:
    along = np.arange(SIZE, dtype=np.float32) + 0.5
    return along[None, :], along[:, None]


def disagreement(moved: Pixels, geometry: Geometry, reach: float) -> int:
    """Pixels whose label no position of the source within ``reach`` px, along each axis, gives."""
    x, y = (np.broadcast_to(at, (SIZE, SIZE)) for at in geometry.to_source(*positions()))
    possible = [ellipse(x + dx * reach, y + dy * reach) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    inside_picture = (x > 1) & (x < WIDTH - 1) & (y > 1) & (y < HEIGHT - 1)
    wrong = np.where(moved == 1, ~np.any(possible, axis=0), np.all(possible, axis=0))
    return int((wrong & inside_picture).sum())


def test_a_shape_moves_by_the_known_map_within_half_a_pixel() -> None:
    mask = drawn_ellipse()
    seen = 0
    for geometry in geometries():
        moved = sampled(mask, mask, geometry)[1]
        assert disagreement(moved, geometry, 0.55) == 0, geometry  # half a pixel, and the map's own rounding
        seen += int(moved.sum())
    assert seen > GEOMETRIES * 200


def test_a_mask_that_is_a_pixel_off_would_be_seen() -> None:
    mask = drawn_ellipse()
    caught = 0
    for geometry in geometries():
        shifted = replace(geometry, centre=(geometry.centre[0] + 1.2, geometry.centre[1]))
        moved = sampled(mask, mask, shifted)[1]
        caught += disagreement(moved, geometry, 0.55) > 0 or not moved.any()
    assert caught == GEOMETRIES


def test_a_picture_that_is_its_mask_stays_so() -> None:
    mask = drawn_ellipse()
    for geometry in geometries():
        picture, moved = sampled(mask * np.uint8(200), mask, geometry)
        edge = cv2.morphologyEx(moved, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))  # a pixel on either side
        np.testing.assert_array_equal((picture > 100)[edge == 0], (moved == 1)[edge == 0])


@pytest.mark.parametrize("size", [128, 192, 380, 512])
def test_the_whole_is_what_the_network_sees_in_acquire(size: int) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    pixels = np.asarray(cv2.GaussianBlur(noise, (0, 0), 4), dtype=np.uint8)
    frame, out = Frame(0, 0, pixels), np.empty((size, size), np.uint8)
    cut(frame, acquire(frame, size), out)
    picture, _ = sampled(pixels, np.zeros_like(pixels), whole(HEIGHT, WIDTH, size))
    inside = slice(size // 8, -size // 8), slice(2, -2)  # its edges fade into the black around it
    np.testing.assert_allclose(picture[inside].astype(int), out[inside], atol=2)


def test_the_bent_sector_is_undone_by_its_inverse() -> None:
    sector = Geometry(SIZE, (WIDTH / 2, HEIGHT / 2), float(SIZE), apex=(190, -80), pivot=230, opening=1.2, depth=0.9)
    for x, y in ((60.0, 30.0), (190.0, 150.0), (333.0, 280.0)):
        on_x, on_y = sector.on_sector(x, y)
        place = np.linalg.solve(sector.matrix[:, :2], (on_x, on_y) - sector.matrix[:, 2]).astype(np.float32)
        np.testing.assert_allclose([v.item() for v in sector.to_source(*place)], (x, y), atol=0.01)
    wide = sector.on_sector(333, 150)
    assert wide[0] > 333, "a wider opening moves what is at the side outwards"


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="its mask"):
        sampled(np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8), whole(8, 8, 8))
