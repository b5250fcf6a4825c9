"""Pictures of data sets in memory: the region in a square, with scale, view, label and neighbour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.errors import DataError
from edge3vt.learn.pictures import SIDE, read_pictures
from tests.learn.squares import CLASSES, make_squares


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_squares(tmp_path_factory.mktemp("sets") / "stills", view="yes")


def test_the_region_becomes_a_square_and_the_scale_is_of_it(stills: Path) -> None:
    pictures, classes = read_pictures([stills], "train")
    assert classes == CLASSES
    assert len(pictures) == 9
    assert pictures.pixels.shape == pictures.masks.shape == (9, SIDE, SIDE)
    assert pictures.pixels[0][: SIDE // 16].max() == 0, "80 x 64 px of region: black above and below"
    assert pictures.pixels[0][SIDE // 2, :4].min() > 0, "and none at the sides"
    assert pictures.labelled.all()
    assert (pictures.views == 1).all()
    scales = pictures.mm_per_px.tolist()
    assert np.isnan(scales[0])
    assert scales[1] == pytest.approx(0.5 * 80 / SIDE)


def test_no_item_of_another_split_is_read(stills: Path) -> None:
    train, validation = (read_pictures([stills], split)[0] for split in ("train", "validation"))
    assert not set(train.patients) & set(validation.patients)
    assert len(validation) == 3


def test_unlabelled_cines_know_the_next_frame(tmp_path: Path) -> None:
    pictures, _ = read_pictures([make_squares(tmp_path / "cines", cines=2)], "", CLASSES, unlabelled=True)
    assert not pictures.labelled.any()
    assert not pictures.masks.any()
    for n, follower in enumerate(pictures.follows.tolist()):
        stem, frame = pictures.ids[n].rsplit("-", 1)
        assert pictures.ids[follower] == f"{stem}-{int(frame) + 1}" if follower >= 0 else frame == "2"


def test_negatives_are_empty_and_not_the_view(stills: Path) -> None:
    pictures, _ = read_pictures([stills], "", ("background", "other"), negatives=True)
    assert len(pictures) == 9, "those for validation stay out of a training"
    assert not pictures.masks.any()
    assert (pictures.views == 0).all()
    assert pictures.labelled.all()


def test_so_many_patients_and_always_the_same(stills: Path) -> None:
    few, more = (read_pictures([stills], "train", patients=n)[0] for n in (3, 6))
    assert len(few) == 3
    assert set(few.ids) < set(more.ids)


def test_sets_that_do_not_fit_are_refused(stills: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its classes are background, large, small, expected background, vessel"):
        read_pictures([stills], "train", ("background", "vessel"))
    with pytest.raises(DataError, match="no labelled picture in the split 'test'"):
        read_pictures([stills], "test")
    with pytest.raises(DataError, match="stands in two data sets"):
        read_pictures([stills, stills], "train")
    with pytest.raises(DataError, match="no data set"):
        read_pictures([tmp_path / "nothing"], "train")
