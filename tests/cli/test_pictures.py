"""The pictures of a set: those that were asked for, by their regions, whole and closer, and what is told of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.calibrate.set import CalibrationSet
from edge3vt.cli.pictures import CLOSER, fed, named_set, pictures_of, reserved_patients, seen, shots_of
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame
from edge3vt.data.dataset import Dataset, read_dataset, write_items
from edge3vt.data.writer import DatasetWriter
from edge3vt.phantom.cine import Scene
from edge3vt.picture.crop import TRACK_MM, acquire, cut
from edge3vt.picture.images import write_image
from edge3vt.picture.text import rendered
from tests import nets

SIZE = 64
SPLITS = ("train", "train", "validation", "test")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve views, four patients of three pictures; the last one's pictures have no masks."""
    folder = tmp_path_factory.mktemp("sets") / "phantoms"
    with DatasetWriter(folder, "some", CLASS_NAMES, resume=False) as writer:
        for index in range(12):
            picture = (scene := Scene(7_000_000 + index, 480, 360)).at(0.2)
            writer.add(
                f"i{index:02d}",
                picture.pixels,
                picture.mask if index < 9 else None,
                patient=f"who{index // 3}",
                source="test",
                mm_per_px=picture.mm_per_px,
                split=SPLITS[index // 3],
                facts={"weeks": scene.record.weeks, "region": "0,0,480,360"},
            )
    return read_dataset(folder)


def of(dataset: Dataset, **values: object) -> CalibrationSet:
    return CalibrationSet(1, "some", "dataset", path=str(dataset.folder), **values)  # type: ignore[arg-type]


def test_a_phantom_set_is_the_phantoms_by_their_regions(tmp_path: Path) -> None:
    path = tmp_path / "set.toml"
    path.write_text('schema = 1\nname = "a"\nsource = "phantom"\ncount = 2\nseed = 4_000_003', encoding="utf-8")
    first, second = pictures_of(str(path), nets.spec(SIZE))
    scene, out = Scene(4_000_004, 768, 576, kind="other"), np.empty((SIZE, SIZE), np.uint8)
    frame = Frame(0, 0, scene.pixels(0.5), region=scene.region)
    cut(frame, acquire(frame, SIZE), out)
    assert np.array_equal(second, out)
    assert not np.array_equal(first, out)


def test_items_are_spread_over_the_split(phantoms: Dataset) -> None:
    assert [shot.id for shot in shots_of(of(phantoms, count=4))] == ["i00", "i03", "i06", "i09"]
    assert [shot.id for shot in shots_of(of(phantoms, count=2, split="train"))] == ["i00", "i03"]
    assert [shot.patient for shot in shots_of(of(phantoms, count=3, split="validation"))] == ["who2"] * 3
    with pytest.raises(DataError, match="holds 3 items of test, the set some asks for 4"):
        list(shots_of(of(phantoms, count=4, split="test")))


def test_a_data_set_folder_is_its_train_split_to_calibrate_on_and_its_validation_split_to_verify_on(
    phantoms: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(phantoms.folder)
    calibrated, golden = named_set(name, "train"), named_set(name)
    assert calibrated == of(phantoms, count=6, split="train", track_share=CLOSER)
    assert golden == of(phantoms, count=3, split="validation")
    assert len(list(pictures_of(name, nets.spec(SIZE)))) == 3
    assert calibrated.sha256 != golden.sha256  # so that no build takes it for the very same set
    assert not {shot.patient for shot in shots_of(calibrated)} & {shot.patient for shot in shots_of(golden)}

    monkeypatch.setattr("edge3vt.cli.pictures.ENOUGH", 4)
    monkeypatch.setattr("edge3vt.cli.pictures.GOLDEN", 2)
    assert (named_set(name, "train").count, named_set(name).count) == (4, 2)

    shutil.copytree(phantoms.folder, tmp_path / "phantom")
    whole = read_dataset(tmp_path / "phantom")
    write_items(whole, [replace(item, split="test") for item in whole.items])
    with pytest.raises(DataError, match=r"holds no items of train; deal its patients out: edge3vt data split /"):
        named_set(str(whole.folder), "train")
    monkeypatch.chdir(tmp_path)
    assert named_set("phantom", "train").source == "phantom"  # the one that ships: a name is a name everywhere


def test_the_patients_of_the_test_are_told(phantoms: Dataset) -> None:
    assert reserved_patients(of(phantoms, count=1)) == {"who3"}
    assert reserved_patients(CalibrationSet(1, "a", "phantom", 1, seed=0)) == frozenset()


def test_a_closer_look_is_the_square_of_live_tracking_where_there_is_a_mask(phantoms: Dataset) -> None:
    shots = list(shots_of(of(phantoms, count=12, track_share=1.0)))
    facts = [seen(shot, crop := shot.crop(SIZE), fed(shot, crop)) for shot in shots]
    assert [each.closer for each in facts] == [True] * 9 + [False] * 3
    whole = [seen(shot, crop := acquire(shot.frame, SIZE), fed(shot, crop)) for shot in shots]
    for near, far in zip(facts[:9], whole[:9], strict=True):
        assert near.width_mm is not None
        assert far.width_mm is not None
        assert TRACK_MM - 0.5 < near.width_mm < far.width_mm
        assert near.classes == far.classes == set(CLASS_NAMES[1:])
    assert facts[11].classes is None
    assert [each.weeks for each in facts] == [shot.weeks for shot in shots]
    assert None not in [each.weeks for each in facts]
    assert [each.closer for each in whole] == [False] * 12


def test_half_a_share_is_half(phantoms: Dataset) -> None:
    shots = list(shots_of(of(phantoms, count=8, track_share=0.5)))
    assert sum(shot.crop(SIZE).mode == "track" for shot in shots) in (3, 4, 5)


def test_an_items_own_region_is_what_is_fed(tmp_path: Path) -> None:
    pixels = np.zeros((100, 100), np.uint8)
    pixels[20:60, 30:70] = np.arange(1, 41, dtype=np.uint8)
    with DatasetWriter(tmp_path / "set", "some", CLASS_NAMES, resume=False) as writer:
        writer.add("a", pixels, None, patient="a", source="test", facts={"region": "30,20,70,60"})
        writer.add("b", pixels, None, patient="a", source="test", facts={"region": "30,20,50,60"})
    inside, beyond = shots_of(of(read_dataset(tmp_path / "set"), count=2))
    picture = fed(inside, crop := inside.crop(40))
    assert np.array_equal(picture, pixels[20:60, 30:70])
    facts = seen(inside, crop, picture)
    assert (facts.uncropped, facts.level, facts.width_mm) == (None, 20.5, None)
    assert seen(beyond, beyond.crop(40), picture).uncropped == "800 pixels outside the region are not black"


@pytest.mark.parametrize("colour", [False, True])
def test_lettering_on_a_folders_picture_is_seen(tmp_path: Path, colour: bool) -> None:
    picture = Scene(7_000_000, 480, 360).pixels(0)
    clean = np.pad(picture, ((60, 0), (0, 0)))
    named = clean.copy()
    text = rendered("DOE JANE 1987", 20, (255, 255, 255))[:50, :300, 0]
    named[5 : 5 + text.shape[0], 40 : 40 + text.shape[1]] = text
    for name, pixels in (("a", clean), ("b", named)):
        write_image(tmp_path / f"{name}.png", np.repeat(pixels[..., None], 3, axis=2) if colour else pixels)
    found = []
    for shot in shots_of(CalibrationSet(1, "some", "folder", 2, path=str(tmp_path))):
        found.append(seen(shot, crop := shot.crop(SIZE), fed(shot, crop)).uncropped)
    assert found[0] is None
    assert str(found[1]).startswith("marks like text at x ")


def test_a_folder_with_too_few_pictures_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match="holds 1 pictures, the set some asks for 2"):
        list(shots_of(CalibrationSet(1, "some", "folder", 2, path=str(tmp_path))))
