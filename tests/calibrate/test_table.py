from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge3vt.calibrate.table import PREPROCESSING, CalibrationTable, TensorRange, refuse_foreign
from edge3vt.core.digest import sha256_bytes, sha256_file
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import ArtifactError

MODEL = b"a model"
TABLE = CalibrationTable(
    schema=1,
    model="net-1",
    model_sha256=sha256_bytes(MODEL),
    set_name="some",
    frames_sha256="0" * 64,
    frames=3,
    preprocessing=PREPROCESSING,
    method="minmax",
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
    with pytest.raises(ArtifactError, match="schema 2 of the table is not known"):
        replace(TABLE, schema=2)
