from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge3vt.calibrate.table import (
    PREPROCESSING,
    SCHEMA,
    CalibrationTable,
    TensorRange,
    refuse_foreign,
    refuse_same_set,
)
from edge3vt.core.digest import sha256_bytes, sha256_file
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import ArtifactError
from edge3vt.core.frame import Crop, Frame, Pixels
from edge3vt.picture.crop import cut

MODEL = b"a model"
TABLE = CalibrationTable(
    schema=SCHEMA,
    model="net-1",
    model_sha256=sha256_bytes(MODEL),
    set_name="some",
    set_sha256="5" * 64,
    frames_sha256="0" * 64,
    frames=3,
    preprocessing=PREPROCESSING,
    method="minmax",
    made_by="edge3vt 0",
    ranges={"x": TensorRange(-0.1, 2.5)},
)


def test_a_table_comes_back_from_its_file_and_knows_the_files_hash(tmp_path: Path) -> None:
    write_json(TABLE, tmp_path / "t.json")
    assert read_json(CalibrationTable, tmp_path / "t.json") == TABLE
    assert TABLE.sha256 == sha256_file(tmp_path / "t.json")


def test_the_models_own_table_passes() -> None:
    refuse_foreign(TABLE, MODEL)


def test_a_table_of_another_model_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"of another model \(net-1, SHA-256 \w{12}…, .*edge3vt calibrate"):
        refuse_foreign(TABLE, b"b model")


def test_a_table_of_other_preprocessing_is_refused() -> None:
    with pytest.raises(ArtifactError, match="other preprocessing \\('stretched'"):
        refuse_foreign(replace(TABLE, preprocessing="stretched"), MODEL)


def test_impossible_contents_are_refused() -> None:
    with pytest.raises(ArtifactError, match=r"a range from 2\.0 to 1\.0 is empty"):
        TensorRange(2.0, 1.0)
    with pytest.raises(ArtifactError, match="schema 3 of the table is not known, expected 2; update edge3vt"):
        replace(TABLE, schema=3)


def test_a_table_from_before_sets_were_hashed_is_to_be_made_again(tmp_path: Path) -> None:
    old = {key: value for key, value in asdict(TABLE).items() if key not in ("set_sha256", "made_by")}
    write_json(old | {"schema": 1}, tmp_path / "old.json")
    with pytest.raises(ArtifactError, match=r"old\.json: schema 1 of the table is not known, .*; calibrate again"):
        read_json(CalibrationTable, tmp_path / "old.json")


def test_an_engine_is_not_verified_on_what_it_was_calibrated_on() -> None:
    refuse_same_set(TABLE, "6" * 64, "golden")
    refuse_same_set(replace(TABLE, set_sha256=None), "6" * 64, "golden")
    with pytest.raises(ArtifactError, match="the golden set golden is the set that the calibration table was observed"):
        refuse_same_set(TABLE, "5" * 64, "golden")


STRIPES = np.add.outer(np.arange(48) * 5, np.arange(64) * 3 % 90).astype(np.uint8)
CUTS = {  # side of the crop, full range: rows 2 and 5 of 8
    (40, True): [[113, 128, 143, 158, 103, 98, 113, 128], [188, 203, 218, 233, 178, 173, 188, 203]],
    (40, False): [[113, 130, 148, 165, 101, 95, 113, 130], [200, 218, 235, 253, 189, 183, 200, 218]],
    (13, True): [[66, 71, 76, 80, 85, 90, 95, 100], [90, 95, 100, 105, 110, 114, 119, 124]],
    (5, True): [[52, 53, 55, 57, 59, 61, 63, 64], [62, 63, 65, 67, 68, 70, 72, 74]],
    (60, True): [[148, 171, 175, 125, 148, 171, 175, 39], [96, 23, 69, 194, 97, 23, 69, 65]],
}


def cut_rows(side: int, full_range: bool) -> NDArray[np.int64]:
    out = np.empty((8, 8), np.uint8)
    cut(Frame(0, 0, STRIPES, full_range=full_range), Crop(9, 4, side, 8), out)
    return out[[2, 5]].astype(np.int64)


@pytest.mark.parametrize(("side", "full_range"), CUTS)
def test_preprocessing_is_what_its_number_says(side: int, full_range: bool) -> None:
    """Where this fails, pictures reach the network otherwise than before: count the number in PREPROCESSING up."""
    assert PREPROCESSING.startswith("picture.crop 1:")
    assert np.abs(cut_rows(side, full_range) - CUTS[side, full_range]).max() <= 1


def test_the_check_on_preprocessing_sees_another_resize(monkeypatch: pytest.MonkeyPatch) -> None:
    def nearest(square: Pixels, out: Pixels) -> None:
        places = np.arange(len(out)) * len(square) // len(out)
        out[:] = square[np.ix_(places, places)]

    monkeypatch.setattr("edge3vt.picture.crop._resize", nearest)
    assert np.abs(cut_rows(40, True) - CUTS[40, True]).max() > 1
