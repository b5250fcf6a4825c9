from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.importers.kind import kind_of
from edge3vt.data.importers.labels import LabelMap
from tests.data.mutate import Source, dicoms, label_me, nnu_net, videos

PAIR: Source = {"train/images/a.png": b"x", "train/masks/a.png": b"x"}


def laid_out(root: Path, *sources: Source) -> Path:
    for source in sources:
        for name, data in source.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
    return root


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (PAIR, "pictures"),
        (label_me(), "labelme"),
        (nnu_net(), "nnunet"),
        ({"IM0001": dicoms()[0]["clip.dcm"], "notes.json": b"{}"}, "dicom"),
        (videos()[0], "video"),
    ],
)
def test_a_plain_source_is_known_by_its_files(tmp_path: Path, source: Source, kind: str) -> None:
    assert kind_of(laid_out(tmp_path, source)) == kind


def test_one_file_is_known_too(tmp_path: Path) -> None:
    laid_out(tmp_path, label_me(), videos()[0], {"IM0001": dicoms()[0]["clip.dcm"]})
    assert [kind_of(tmp_path / name) for name in ("a.json", "clip.mp4", "IM0001")] == ["labelme", "video", "dicom"]


def test_a_class_map_names_the_folder_of_pictures(tmp_path: Path) -> None:
    laid_out(tmp_path, {"frames/a.png": b"x"})
    with pytest.raises(DataError, match="no pictures in images/"):
        kind_of(tmp_path)
    labels = LabelMap(1, ("background", "a"), pictures="frames")
    assert kind_of(tmp_path, labels) == kind_of(tmp_path / "frames", labels) == "pictures"


def test_pictures_without_masks_are_pictures(tmp_path: Path) -> None:
    assert kind_of(laid_out(tmp_path, {"unsplit/unlabelled/a.png": b"x"})) == "pictures"


def test_a_linked_folder_is_said_not_to_be_followed(tmp_path: Path) -> None:
    laid_out(tmp_path / "elsewhere", {"a.png": b"x"})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="a link to a folder is not followed"):
        kind_of(tmp_path / "in")


def test_a_mixture_is_left_to_the_user(tmp_path: Path) -> None:
    laid_out(tmp_path, videos()[0], {"x.dcm": b""})
    with pytest.raises(ConfigError, match="holds video and dicom; choose one with --format"):
        kind_of(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        kind_of(tmp_path / "none")
