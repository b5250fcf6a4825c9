from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.importers.labels import LabelMap

CLASSES = ("background", "nerve", "vessel")


def test_a_class_map_is_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        'schema = 1\nclasses = ["background", "nerve", "vessel"]\nmasks = "annotations"\n'
        '[labels]\n"#800000" = "nerve"\n"#008000" = "vessel"\n"#00Ff00" = "vessel"\n[splits]\ntrain = "train"\n'
    )
    labels = read_toml(LabelMap, path)
    assert (labels.classes, labels.pictures, labels.masks, labels.splits) == (
        CLASSES,
        "images",
        "annotations",
        {"train": "train"},
    )
    assert labels.colours() == {0: 0, 0x800000: 1, 0x008000: 2, 0x00FF00: 2}
    assert not labels.levels()
    assert not labels.blanked
    path.write_text('schema = 1\nclasses = ["background", "nerve"]\nblanked = true\n')
    assert read_toml(LabelMap, path).blanked


def test_levels_are_greys_and_indices() -> None:
    labels = LabelMap(1, CLASSES, {"0": "nerve", "255": "vessel"})
    assert labels.colours() == {0: 1, 0xFFFFFF: 2}
    assert labels.levels()
    assert not LabelMap(1, CLASSES).levels()


def test_names_become_classes() -> None:
    labels = LabelMap(1, CLASSES, {"N": "nerve", "ruler": "background"})
    assert [labels.index_of(name) for name in ("N", "nerve", "ruler", "vessel")] == [1, 1, 0, 2]
    with pytest.raises(DataError, match="'vessels' is no class; did you mean 'vessel'"):
        labels.index_of("vessels")


@pytest.mark.parametrize("label", ["#12345", "red", "256", "-1", "1.5", "²"])
def test_a_colour_that_is_none_is_refused(label: str) -> None:
    with pytest.raises(ConfigError, match="expected a colour such as '#800000' or a level"):
        LabelMap(1, CLASSES, {label: "nerve"}).colours()


def test_a_label_of_no_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="'1' is 'nerv', which is no class; did you mean 'nerve'"):
        LabelMap(1, CLASSES, {"1": "nerv"})
    with pytest.raises(ConfigError, match="class 0 is 'nerve'"):
        LabelMap(1, CLASSES[1:])
