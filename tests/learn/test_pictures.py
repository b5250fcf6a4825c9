"""Phantom pictures are rendered once, kept in squares with scale and age, and drawn from repeatably."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.errors import DataError
from edge3vt.data.augment import Augmentation
from edge3vt.learn import pictures as module
from edge3vt.learn.pictures import SCANS, SIDE, Pictures, batch, phantom_pictures, real_negatives
from edge3vt.picture.images import encoded_png


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pictures]:
    folder = tmp_path_factory.mktemp("phantoms")
    return folder, phantom_pictures(folder, 77, 3)


def test_each_fetus_is_seen_from_several_sides_with_scale_and_age(rendered: tuple[Path, Pictures]) -> None:
    pictures = rendered[1]
    assert len(pictures) == 3 * SCANS
    assert pictures.pixels.shape == pictures.masks.shape == (3 * SCANS, SIDE, SIDE)
    assert ((pictures.weeks >= 18) & (pictures.weeks <= 36)).all()
    assert len(np.unique(pictures.weeks)) == 3
    assert ((pictures.mm_per_px * SIDE > 40) & (pictures.mm_per_px * SIDE < 250)).all()
    assert pictures.masks[pictures.views].any(axis=(1, 2)).all()
    assert not pictures.masks[~pictures.views].any()
    assert (pictures.pixels > 20).any(axis=(1, 2)).mean() > 0.7


def test_what_was_rendered_is_reused(rendered: tuple[Path, Pictures]) -> None:
    folder, pictures = rendered
    files = sorted(folder.iterdir())
    stamps = [f.stat().st_mtime_ns for f in files]
    again = phantom_pictures(folder, 77, 3)
    assert [f.stat().st_mtime_ns for f in sorted(folder.iterdir())] == stamps
    np.testing.assert_array_equal(again.pixels, pictures.pixels)
    np.testing.assert_array_equal(again.weeks, pictures.weeks)


def test_another_phantom_is_rendered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = module._phantom_version()
    monkeypatch.setattr(module, "SIDE", SIDE + 1)
    assert module._phantom_version() != before


def test_a_part_keeps_what_belongs_together(rendered: tuple[Path, Pictures]) -> None:
    pictures = rendered[1]
    youngest = pictures.weeks == pictures.weeks.min()
    part = pictures.part(youngest)
    assert len(part) == SCANS
    np.testing.assert_array_equal(part.pixels, pictures.pixels[youngest])
    np.testing.assert_array_equal(part.mm_per_px, pictures.mm_per_px[youngest])


def test_batches_repeat_for_a_generator_and_hold_labels(rendered: tuple[Path, Pictures]) -> None:
    first, second = (batch(rendered[1], None, np.random.default_rng(4), 6, 128, 0.0, Augmentation()) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    pixels, masks, views = first
    assert pixels.shape == (6, 1, 128, 128)
    assert masks.shape == (6, 128, 128)
    assert masks.any(axis=(1, 2)).sum() <= views.sum()


def test_real_pictures_become_squares(tmp_path: Path) -> None:
    wide = np.full((100, 300), 90, np.uint8)
    (tmp_path / "a.png").write_bytes(encoded_png(wide))
    (squares,) = real_negatives([tmp_path / "a.png"])
    assert squares.shape == (SIDE, SIDE)
    assert squares[SIDE // 2].min() == 90
    assert squares[:150].max() == 0
    with pytest.raises(DataError, match="no real negatives"):
        real_negatives([])
