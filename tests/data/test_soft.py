"""Soft labels come back as written, lie where the pictures lie, and bad ones are refused with one line."""

from __future__ import annotations

import json
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import Dataset, Item, read_dataset, write_items
from edge3vt.data.geometry import sampled, whole
from edge3vt.data.soft import NOWHERE, SoftLabels, begin_soft, read_soft
from tests.data.cohort import CLASSES, make_set

SIDE = 40
Probabilities = NDArray[np.float32]


def drawn(seed: int, side: int = SIDE, classes: int = 3) -> Probabilities:
    """Smooth random probabilities."""
    scores = np.random.default_rng(seed).normal(0, 3, (classes, side, side))
    return np.asarray(np.exp(scores) / np.exp(scores).sum(axis=0), np.float32)


def begun(folder: Path, dataset: Dataset, **changed: Any) -> SoftLabels:
    return begin_soft(folder, dataset, **({"side": SIDE, "made_by": "a teacher", "crop": True} | changed))


def finished(folder: Path, dataset: Dataset) -> SoftLabels:
    soft = begun(folder, dataset)
    for n, id in enumerate(soft.missing(dataset.items)):
        soft.write(id, drawn(n), (n, 1, n + 9, 8))
    return soft


def one_hot(dataset: Dataset, item: Item) -> Probabilities:
    """A teacher that is sure of the mask, on the whole picture."""
    return np.asarray(dataset.mask(item) == np.arange(len(CLASSES))[:, None, None], np.float32)


def foreign(folder: Path, dataset: Dataset) -> Path:
    folder.mkdir()
    for item in dataset.items:
        np.savez_compressed(folder / f"{item.id}.npz", probabilities=one_hot(dataset, item)[:, None])
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_set(tmp_path / "set", patients=3, each=2)


def test_what_was_written_is_read(tmp_path: Path, dataset: Dataset) -> None:
    finished(tmp_path / "soft", dataset)
    soft = read_soft(tmp_path / "soft", dataset, SIDE)
    assert (soft.classes, soft.side, soft.made_by, soft.crop) == (CLASSES, SIDE, "a teacher", True)
    for n, item in enumerate(dataset.items):
        probabilities, crop = soft.of(item.id)
        assert probabilities.dtype == np.uint8
        assert np.abs(probabilities / 255 - drawn(n)).max() <= 1.5 / 255  # background is what rounded structures leave
        assert (probabilities.sum(axis=0, dtype=int) == 255).all()
        assert crop == (n, 1, n + 9, 8)


def test_levels_are_kept_as_they_are(tmp_path: Path, dataset: Dataset) -> None:
    soft = begun(tmp_path / "soft", dataset)
    soft.write("p0-0", drawn(1))
    levels, crop = soft.of("p0-0")
    soft.write("p0-1", levels)
    assert np.array_equal(soft.of("p0-1")[0], levels)
    assert crop == NOWHERE


def test_a_stopped_writing_goes_on_and_is_not_read_before_its_end(tmp_path: Path, dataset: Dataset) -> None:
    folder, ids = tmp_path / "soft", tuple(item.id for item in dataset.items)
    soft = begun(folder, dataset)
    assert soft.missing(dataset.items) == ids
    soft.write(ids[1], drawn(1))
    (folder / ".p0-0.7.part.npz").write_bytes(b"of a run that was ended")
    with pytest.raises(DataError, match="5 of 6 items have no soft label, the first is p0-0; let the teacher finish"):
        read_soft(folder, dataset, SIDE)
    with pytest.raises(DataError, match="no soft label of the item p0-0"):
        soft.of("p0-0")
    assert begun(folder, dataset).missing(dataset.items) == (ids[0], *ids[2:])
    assert read_soft(folder, dataset, SIDE, [dataset.items[1]]).of(ids[1])[0].shape == (3, SIDE, SIDE)
    finished(folder, dataset)
    assert read_soft(folder, dataset, SIDE).missing(dataset.items) == ()


def test_a_failed_writing_leaves_what_was_there(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, **arrays: object) -> None:
        path.write_bytes(b"PK")
        raise OSError(28, "No space left on device")

    soft = finished(tmp_path / "soft", dataset)
    before = {path.name: path.read_bytes() for path in soft.folder.iterdir()}
    for bad in (drawn(0) * 2, drawn(0)[:2], drawn(0, SIDE + 1)):
        with pytest.raises(DataError):
            soft.write("p0-0", bad)
    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(DataError, match="cannot be written"):
        soft.write("p0-0", drawn(0))
    assert before == {path.name: path.read_bytes() for path in soft.folder.iterdir()}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"side": 41}, "whose side is '40', not '41'"),
        ({"made_by": "another"}, "whose made_by is 'a teacher', not 'another'"),
        ({"crop": False}, "whose crop is 'True', not 'False'"),
        ({"made_by": " "}, "made_by is empty"),
        ({"side": 0}, "the side is 0 px, expected 1 to 4096"),
    ],
)
def test_a_folder_goes_on_only_with_what_it_was_begun_for(
    tmp_path: Path, dataset: Dataset, changed: dict[str, Any], reason: str
) -> None:
    begun(tmp_path / "soft", dataset)
    with pytest.raises(ConfigError, match=reason):
        begun(tmp_path / "soft", dataset, **changed)


def test_a_folder_of_something_else_is_no_place_for_soft_labels(tmp_path: Path, dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="holds other files"):
        begun(dataset.folder, dataset)
    with pytest.raises(DataError, match=r"neither soft.json nor an .npz file"):
        read_soft(dataset.folder, dataset, SIDE)
    with pytest.raises(DataError, match="another tool's soft labels"):
        read_soft(foreign(tmp_path / "nnunet", dataset), dataset, SIDE).write("p0-0", drawn(0))


def test_soft_labels_of_another_state_of_the_set_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    """Splits dealt anew would let a student learn from a teacher that saw its test."""
    finished(tmp_path / "soft", dataset)
    write_items(dataset, [replace(item, split="test") for item in dataset.items])
    with pytest.raises(
        DataError, match=r"soft labels of 'sound' in another state .* its pictures or its splits differ"
    ):
        read_soft(tmp_path / "soft", read_dataset(dataset.folder), SIDE)


def test_soft_labels_of_other_classes_or_sizes_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    finished(tmp_path / "soft", dataset)
    with pytest.raises(DataError, match="soft labels of 40 px, expected 64"):
        read_soft(tmp_path / "soft", dataset, 64)
    other = Dataset(dataset.folder, dataset.name, ("background", "nerve", "vessel"), dataset.items)
    with pytest.raises(DataError, match="of background, vessel, nerve, expected the data set's classes background, n"):
        read_soft(tmp_path / "soft", other, SIDE)


@pytest.mark.parametrize(
    ("region", "side"), [("8,8,88,88", 40), ("8,8,88,88", 160), ("8,16,88,72", 37), ("20,8,60,88", 80), (None, 32)]
)
def test_nnunet_s_probabilities_lie_where_the_mask_of_the_picture_lies(
    tmp_path: Path, dataset: Dataset, region: str | None, side: int
) -> None:
    facts: dict[str, float | str] = {} if region is None else {"region": region}
    write_items(dataset, [replace(item, facts=facts) for item in dataset.items])
    dataset = read_dataset(dataset.folder)
    x0, y0, x1, y1 = (int(edge) for edge in (region or "0,0,96,96").split(","))
    soft = read_soft(foreign(tmp_path / "nnunet", dataset), dataset, side)
    for item in dataset.items:
        probabilities, crop = soft.of(item.id)
        assert (probabilities.shape, crop) == ((3, side, side), NOWHERE)
        assert (np.abs(probabilities.sum(axis=0, dtype=int) - 255) <= 3).all()
        inside = dataset.mask(item)[y0:y1, x0:x1]
        placed = sampled(inside, inside, whole(*inside.shape, side))[1]
        sure = probabilities.max(axis=0) > 250
        assert sure.mean() > 0.7
        assert (probabilities.argmax(axis=0) == placed)[sure].all()
        shifted = np.roll(placed, 2, axis=1)
        assert not (probabilities.argmax(axis=0) == shifted)[sure].all(), "the check sees two pixels"


def test_nnunet_s_probabilities_are_averaged_over_areas(tmp_path: Path, dataset: Dataset) -> None:
    item = dataset.items[0]
    spoken = drawn(5, 96)
    (tmp_path / "nnunet").mkdir()
    np.savez_compressed(tmp_path / "nnunet" / f"{item.id}.npz", probabilities=spoken.astype(np.float16))
    soft = read_soft(tmp_path / "nnunet", dataset, 40, [item])
    mean = spoken[:, 8:88, 8:88].reshape(3, 40, 2, 40, 2).mean(axis=(2, 4))
    assert np.abs(soft.of(item.id)[0] / 255 - mean).max() < 2.5 / 255
    assert np.abs(mean - spoken[:, 8:88:2, 8:88:2]).max() > 0.5, "a single sample would differ"


GOOD = (drawn(0) * 255).round().astype(np.uint8)
AT = np.zeros(4, np.uint16)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"probabilities": GOOD}, "holds no 'crop', but probabilities"),
        ({"crop": AT}, "holds no 'probabilities'"),
        ({"probabilities": GOOD[:2], "crop": AT}, r"uint8 \(2, 40, 40\), expected uint8 \(3, 40, 40\)"),
        ({"probabilities": GOOD / 255, "crop": AT}, "its probabilities are float64"),
        ({"probabilities": GOOD.astype(object), "crop": AT}, "no readable .npz archive .*allow_pickle"),
        ({"probabilities": GOOD // 2, "crop": AT}, "at x .*, y .* add up to 0.4.*, expected 1"),
        ({"probabilities": np.zeros_like(GOOD), "crop": AT}, "at x 0, y 0 add up to 0.000"),
        ({"probabilities": GOOD, "crop": np.zeros(4)}, r"its crop is float64 \(4,\), expected uint16 \(4,\)"),
        ({"probabilities": GOOD, "crop": AT[:3]}, r"its crop is uint16 \(3,\)"),
        ({"probabilities": GOOD, "crop": np.array([3, 3, 41, 9], np.uint16)}, "x0 < x1 and y0 < y1 within 40 px"),
        ({"probabilities": GOOD, "crop": np.array([3, 3, 3, 9], np.uint16)}, r"its crop is \(3, 3, 3, 9\)"),
    ],
)
def test_bad_soft_labels_are_refused(tmp_path: Path, dataset: Dataset, arrays: dict[str, Any], reason: str) -> None:
    soft = finished(tmp_path / "soft", dataset)
    np.savez(soft.folder / "p0-0.npz", **arrays)
    with pytest.raises(DataError, match=reason) as refused:
        read_soft(soft.folder, dataset, SIDE).of("p0-0")
    assert "p0-0.npz: " in str(refused.value)
    assert "\n" not in str(refused.value)


def bad(spoken: Probabilities, at: tuple[int, ...], value: float) -> Probabilities:
    changed = spoken.copy()
    changed[at] = value
    return changed


WHOLE = drawn(2, 96)


@pytest.mark.parametrize(
    ("probabilities", "reason"),
    [
        (drawn(2, 96, classes=4), r"float32 \(4, 96, 96\), expected floats \(3, 96, 96\): the data set's 3 classes"),
        (WHOLE[:, :, :95], r"float32 \(3, 96, 95\)"),
        (np.stack([WHOLE, WHOLE], axis=1), r"float32 \(3, 2, 96, 96\)"),
        ((WHOLE * 255).astype(np.uint8), "uint8"),
        (WHOLE.astype(object), "no readable .npz archive .*allow_pickle"),
        (bad(WHOLE, (1, 7, 9), np.nan), "from nan to nan, expected 0 to 1"),
        (bad(WHOLE, (1, 7, 9), np.inf), "from 0 to inf"),
        (np.log(WHOLE), "expected 0 to 1; save the softmax"),
        (bad(WHOLE, (slice(None), 7, 9), 0.3), "at x 9, y 7 add up to 0.900, expected 1"),
    ],
)
def test_bad_probabilities_of_nnunet_are_refused(
    tmp_path: Path, dataset: Dataset, probabilities: NDArray[Any], reason: str
) -> None:
    folder = foreign(tmp_path / "nnunet", dataset)
    np.savez(folder / "p0-0.npz", probabilities=probabilities)
    with pytest.raises(DataError, match=reason) as refused:
        read_soft(folder, dataset, SIDE).of("p0-0")
    assert "\n" not in str(refused.value)


def told(soft: SoftLabels, id: str) -> str:
    """Why a soft label is refused; nothing where it is read."""
    try:
        soft.of(id)
    except DataError as error:
        return str(error)
    return ""


def test_damaged_archives_are_refused_whatever_the_damage(tmp_path: Path, dataset: Dataset) -> None:
    soft = finished(tmp_path / "soft", dataset)
    path, rng = soft.folder / "p0-0.npz", np.random.default_rng(8)
    sound, levels = path.read_bytes(), soft.of("p0-0")[0]
    for damaged in [*(sound[:n] for n in (0, 1, 30, len(sound) // 2, len(sound) - 1)), b"no archive"]:
        path.write_bytes(damaged)
        assert told(soft, "p0-0").startswith(f"{path}: no readable .npz archive")
    refused = 0
    for _ in range(300):
        flipped = bytearray(sound)
        flipped[int(rng.integers(len(flipped)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        reason = told(soft, "p0-0")
        assert "\n" not in reason
        assert reason.startswith(str(path)) or np.array_equal(soft.of("p0-0")[0], levels), "read, but another"
        refused += bool(reason)
    assert refused > 250


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 99999999, 99999999), }", "no readable .npz archive"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 40", "no readable .npz archive"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (3, 40, 40), }", "allow_pickle"),
    ],
)
def test_archives_made_to_deceive_are_refused(tmp_path: Path, dataset: Dataset, header: str, reason: str) -> None:
    soft = finished(tmp_path / "soft", dataset)
    with zipfile.ZipFile(soft.folder / "p0-0.npz", "w") as archive:
        line = header.ljust(117) + "\n"
        archive.writestr(
            "probabilities.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line.encode() + b"0" * 4800
        )
        archive.writestr("crop.npy", b"")
    assert reason in told(soft, "p0-0")


def test_a_crop_of_a_teacher_that_does_not_look_closer_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    soft = begun(tmp_path / "soft", dataset, crop=False)
    soft.write("p0-0", drawn(0))
    with pytest.raises(DataError, match="expected zeros, as no teacher looks closer"):
        soft.write("p0-0", drawn(0), (0, 0, 5, 5))
    with pytest.raises(DataError, match="has no item 'p9-9'"):
        soft.write("p9-9", drawn(0))


def test_a_record_that_was_changed_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    soft = finished(tmp_path / "soft", dataset)
    record = json.loads((soft.folder / "soft.json").read_text(encoding="utf-8"))
    for changed, reason in (({"made_by": ""}, "made_by is empty"), ({"schema": 2}, "schema 2"), ({"x": 1}, "key 'x'")):
        (soft.folder / "soft.json").write_text(json.dumps(record | changed), encoding="utf-8")
        with pytest.raises(ConfigError, match=reason):
            read_soft(soft.folder, dataset, SIDE)
