"""The folder of an export is there whole or not at all, and replaces nothing but an export."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError
from edge3vt.data.dataset import VOUCHED, Dataset
from edge3vt.data.exporters.target import whole_folder, write_class_map
from edge3vt.data.importers.labels import LabelMap
from tests.data.cohort import changed, make_set, repainted, tissue


def make(out: Path, text: str, *, overwrite: bool = False) -> None:
    with whole_folder(out, overwrite=overwrite) as folder:
        (folder / "file.txt").write_text(text)
        write_class_map(folder, Dataset(out, "none", ("background", "vessel"), ()))


def test_an_export_is_replaced_when_asked_only(tmp_path: Path) -> None:
    out = tmp_path / "deep/out"
    make(out, "first")
    with pytest.raises(ConfigError, match="--overwrite"):
        make(out, "second")
    make(out, "second", overwrite=True)
    assert (out / "file.txt").read_text() == "second"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out, "first")

    def fail() -> None:
        with whole_folder(out, overwrite=True) as folder:
            (folder / "file.txt").write_text("second")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (out / "file.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_no_export_is_not_replaced(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
        (out / "classes.toml").write_text("schema = 1")
    elif kind == "file":
        out.write_text("mine")
    else:
        make(tmp_path / "other", "mine")
        out.symlink_to(tmp_path / "other")
    with pytest.raises(ConfigError, match="is no export of edge3vt"):
        make(out, "second", overwrite=True)


def test_a_class_map_reads_back_whatever_the_names(tmp_path: Path) -> None:
    classes = ("background", 'a "quoted" one', "back\\slash", "ä 😀", "tab\tand\x7fdel")
    write_class_map(
        tmp_path, Dataset(tmp_path, "none", classes, ()), labels={"1": classes[1]}, splits=["train", "test"]
    )
    back = read_toml(LabelMap, tmp_path / "classes.toml")
    assert back.classes == classes
    assert back.labels == {"1": classes[1]}
    assert back.splits == {"train": "train", "test": "test"}


def test_only_pictures_with_nothing_around_them_are_said_to_be_blanked(tmp_path: Path) -> None:
    def says_blanked(dataset: Dataset) -> bool:
        write_class_map(tmp_path, dataset)
        return read_toml(LabelMap, tmp_path / "classes.toml").blanked

    dataset = make_set(tmp_path / "set", patients=3, each=1)
    assert says_blanked(dataset)
    lit = tissue(0)
    lit[2, 3] = 1
    dataset = repainted(dataset, "p2-0", picture=lit)
    assert not says_blanked(dataset)
    assert not says_blanked(changed(dataset, "p2-0", facts={}))
    assert says_blanked(changed(dataset, "p2-0", facts=dict([VOUCHED])))
    assert not says_blanked(changed(dataset, "p2-0", facts={**dict([VOUCHED]), "burnt_in_text": "yes"}))
