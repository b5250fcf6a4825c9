from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import RLELossless

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.documents import read_toml
from edge3vt.core.errors import BackendMissingError, ConfigError, DataError
from edge3vt.core.frame import Region
from edge3vt.data.dataset import MANIFEST, PARTIAL, read_dataset
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.imports import Imported, import_set
from edge3vt.data.intake import Request
from edge3vt.data.writer import Unwritable
from edge3vt.picture.images import write_image
from tests.data.mutate import SECRET, Source, encoded, label_me, labels, native, nnu_net, noise, packed, written

KEY = bytes(range(32))
LABELS = LabelMap(1, ("background", "nerve", "vessel"), {"1": "nerve", "2": "vessel"}, blanked=True)
USGRA = Path(__file__).parents[3] / "shared" / "data" / "usgra-seg"


def laid_out(root: Path, source: Source) -> Path:
    for name, data in source.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def pairs(root: Path, count: int) -> Request:
    """A request for ``count`` pictures with masks."""
    for n in range(count):
        write_image(root / "images" / f"{n}.png", noise(seed=n))
        write_image(root / "masks" / f"{n}.png", np.roll(labels(), n, axis=1))
    return Request(root, "pictures", LABELS, patient_from="file", keep_names=True)


def imported(request: Request, out: Path, **options: Any) -> Imported:
    return import_set(request, out, KEY, **{"workers": 1, **options})


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_pictures_and_masks_arrive_as_they_were(tmp_path: Path) -> None:
    result = imported(pairs(tmp_path / "in", 3), tmp_path / "set")
    assert (result.files, result.items, result.labelled, result.patients, result.cines) == (3, 3, 3, 3, 0)
    assert (result.splits, result.classes, result.refused) == ({"none": 3}, {"nerve": 3, "vessel": 3}, ())
    dataset = read_dataset(tmp_path / "set")
    for item in dataset.items:
        n = int(Path(item.source).stem)
        assert np.array_equal(dataset.picture(item), noise(seed=n))
        assert np.array_equal(dataset.mask(item), np.roll(labels(), n, axis=1))


def test_the_result_does_not_depend_on_the_workers_or_an_interruption(tmp_path: Path) -> None:
    request = pairs(tmp_path / "in", 12)
    for n in (3, 8):
        (tmp_path / "in" / "masks" / f"{n}.png").write_bytes(b"broken")
    one, two = (imported(request, tmp_path / str(n) / "set", workers=n) for n in (1, 3))
    assert one == two
    assert content(tmp_path / "1") == content(tmp_path / "3")

    def stop(done: int, total: int) -> None:
        assert total == 12
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(request, tmp_path / "4" / "set", told=stop)
    with pytest.raises(DataError, match="an unfinished data set"):
        read_dataset(tmp_path / "4" / "set")
    again = imported(request, tmp_path / "4" / "set")
    assert again.resumed >= 4
    assert (again.items, again.refused) == (one.items, one.refused)
    assert content(tmp_path / "4") == content(tmp_path / "1")


def test_a_killed_import_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    request = pairs(tmp_path / "in", 40)
    script = f"""
from pathlib import Path
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.imports import import_set
from edge3vt.data.intake import Request
if __name__ == "__main__":
    labels = {LABELS!r}
    request = Request(Path({str(tmp_path / "in")!r}), "pictures", labels, patient_from="file", keep_names=True)
    import_set(request, Path({str(tmp_path / "set")!r}), {KEY!r}, workers=2)
"""
    (tmp_path / "run.py").write_text(script)
    process = subprocess.Popen([sys.executable, str(tmp_path / "run.py")])
    clock, partial = SystemClock(), tmp_path / "set" / PARTIAL
    until_ns = clock.now_ns() + 60 * NS_PER_S
    while clock.now_ns() < until_ns and not (partial.exists() and partial.read_bytes().count(b"\n") > 5):
        clock.sleep_until_ns(clock.now_ns() + NS_PER_S // 500)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "set" / MANIFEST).exists()
    again = imported(request, tmp_path / "set")
    assert again.resumed >= 5
    imported(request, tmp_path / "whole" / "set")
    assert content(tmp_path / "set") == content(tmp_path / "whole" / "set")


def test_what_is_refused_keeps_nothing_else_out(tmp_path: Path) -> None:
    request = pairs(tmp_path / "in", 4)
    (tmp_path / "in" / "images" / "0.png").write_bytes(b"broken")
    (tmp_path / "in" / "masks" / "1.png").unlink()
    result = imported(request, tmp_path / "set")
    assert result.items == 2
    assert [text.partition(": ")[0] for text in result.refused] == [
        str(tmp_path / "in" / "images" / f"{n}.png") for n in (0, 1)
    ]
    assert len(read_dataset(tmp_path / "set").items) == result.items


def test_nothing_is_left_where_all_is_refused(tmp_path: Path) -> None:
    request = pairs(tmp_path / "in", 2)
    for n in range(2):
        (tmp_path / "in" / "masks" / f"{n}.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"nothing could be imported; the first of them: .*masks.* \(and 1 more\)"):
        imported(request, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def dicom(path: Path, pixels: np.ndarray, **elements: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written(native(pixels, **elements)))
    return path


def test_a_cine_that_breaks_half_way_leaves_no_item(tmp_path: Path) -> None:
    ds = packed(native(np.stack([noise(seed=n) for n in range(4)])), RLELossless)
    frames = list(generate_frames(ds.PixelData, number_of_frames=4))
    frames[2] = frames[2][:70]
    ds.PixelData = encapsulate(frames)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.dcm").write_bytes(written(ds))
    dicom(tmp_path / "in" / "whole.dcm", noise()[None])
    result = imported(Request(tmp_path / "in", "dicom"), tmp_path / "set")
    assert (result.files, result.items, len(result.refused)) == (2, 1, 1)
    assert "broken.dcm" in result.refused[0]
    assert len(content(tmp_path / "set")) == 2


def test_no_identity_gets_into_a_set_whole_or_begun(tmp_path: Path) -> None:
    for n in range(4):
        dicom(tmp_path / f"in_{SECRET}" / f"{SECRET}_{n}.dcm", noise(seed=n)[None], PatientBirthDate="19860426")
    request = Request(tmp_path / f"in_{SECRET}", "dicom")

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(request, tmp_path / "set", told=stop)
    for run in ("begun", "whole"):
        files = content(tmp_path / "set")
        assert (PARTIAL if run == "begun" else MANIFEST) in files
        for name, data in files.items():
            for identity in (SECRET, SECRET[:6], "19860426", "1.2.3"):
                assert identity not in name
                assert identity.encode() not in data
        if run == "begun":
            assert imported(request, tmp_path / "set").patients == 1


def test_no_name_of_a_file_gets_into_a_set(tmp_path: Path) -> None:
    """Prepared files too lie in folders that are named after patients."""
    picture = noise()
    sources: dict[str, Source] = {
        "pictures": {
            f"images/{SECRET}.png": encoded(".png", picture),
            f"masks/{SECRET}.png": encoded(".png", labels()),
        },
        "labelme": {f"{SECRET}/{SECRET}.json": label_me()["a.json"], f"{SECRET}/{SECRET}.png": label_me()["a.png"]},
        "nnunet": {name.replace("case", SECRET): data for name, data in nnu_net().items()},
        "dicom": {f"{SECRET}.dcm": written(native(picture[None]))},
    }
    for format, source in sources.items():
        laid_out(tmp_path / format, source)
        for patient_from in ("file", "folder", "pattern:."):
            out = tmp_path / f"{format}-{patient_from[:4]}"
            asked: dict[str, Any] = {"patient_from": patient_from, "keep_outside": True}
            asked["labels"] = LABELS if format == "pictures" else None
            assert imported(Request(tmp_path / format, format, **asked), out).items  # type: ignore[arg-type]
            for name, data in content(out).items():
                assert SECRET not in name
                assert SECRET.encode() not in data
    kept = Request(tmp_path / "pictures", "pictures", LABELS, patient_from="file", keep_names=True)
    imported(kept, tmp_path / "kept")
    assert SECRET.encode() in (tmp_path / "kept" / MANIFEST).read_bytes()  # the search finds what is there


def test_a_file_whose_header_lost_its_patient_goes_where_the_others_of_its_folder_go(tmp_path: Path) -> None:
    for n, (folder, who) in enumerate((("1", "a"), ("1", ""), ("2", "b"), ("2", "c"), ("2", ""), ("3", ""))):
        dicom(tmp_path / "in" / folder / f"{n}.dcm", noise(seed=n)[None], PatientID=who)
    request = Request(tmp_path / "in", "dicom", patient_from="folder")

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    result = imported(request, tmp_path / "set")
    assert (result.items, result.patients, result.joined, result.headed, result.read) == (5, 4, 1, 3, 5)
    assert len(result.refused) == 1
    assert "4.dcm: its header names no patient, and those of its group name 2" in result.refused[0]
    with pytest.raises(KeyboardInterrupt):
        imported(request, tmp_path / "again" / "set", told=stop)
    again = imported(request, tmp_path / "again" / "set")
    assert again.resumed > 0
    assert again.read + again.resumed + len(again.refused) == 6
    assert content(tmp_path / "again" / "set") == content(tmp_path / "set")


def test_a_missing_decoder_is_what_the_environment_lacks_only_where_nothing_else_is_wrong(tmp_path: Path) -> None:
    lacking = get_testdata_file("JPEG-lossy.dcm", download=False)  # 12 bits
    assert lacking is not None
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(Path(str(lacking)).read_bytes())
    request = Request(tmp_path / "in", "dicom", patient_from="file")
    with pytest.raises(BackendMissingError, match="pip install python-gdcm"):
        imported(request, tmp_path / "set")
    (tmp_path / "in" / "b.dcm").write_bytes(b"broken")
    with pytest.raises(DataError, match="nothing could be imported"):
        imported(request, tmp_path / "set")
    dicom(tmp_path / "in" / "c.dcm", noise()[None])
    assert len(imported(request, tmp_path / "set").refused) == 2


def test_what_is_passed_over_is_told(tmp_path: Path) -> None:
    request = pairs(tmp_path / "in", 1)
    laid_out(tmp_path / "in", {"images/x.tif": b"", "notes.txt": b"", "more.zip": b"", "other/b.png": b""})
    assert imported(request, tmp_path / "set").passed_over == {".png": 1, ".tif": 1, ".txt": 1, ".zip": 1}


def test_one_patient_has_one_name_for_one_key(tmp_path: Path) -> None:
    for n, who in enumerate(("a", "a", "b")):
        dicom(tmp_path / "in" / f"{n}.dcm", noise(seed=n)[None], PatientID=who)
    request = Request(tmp_path / "in", "dicom")
    assert imported(request, tmp_path / "one").patients == 2
    imported(request, tmp_path / "two")
    import_set(request, tmp_path / "other", bytes(32), workers=1)
    names = [{item.patient for item in read_dataset(tmp_path / n).items} for n in ("one", "two", "other")]
    assert names[0] == names[1]
    assert not names[0] & names[2]


def test_a_placeholder_is_one_whatever_its_issuer(tmp_path: Path) -> None:
    for n, who in enumerate(("ANON", "Unknown", "4711", "4712", "4713")):
        dicom(tmp_path / "in" / f"{n}.dcm", noise(seed=n)[None], PatientID=who, IssuerOfPatientID="a clinic")
    assert imported(Request(tmp_path / "in", "dicom"), tmp_path / "set").suspect == 2


def test_hidden_folders_are_not_searched(tmp_path: Path) -> None:
    for n, folder in enumerate((".snapshot", "seen")):
        dicom(tmp_path / "in" / folder / "a.dcm", noise(seed=n)[None], PatientID="4711")
    assert imported(Request(tmp_path / "in", "dicom"), tmp_path / "set").files == 1


def test_what_an_earlier_replacement_left_is_not_written_over(tmp_path: Path) -> None:
    request = pairs(tmp_path / "in", 2)
    imported(request, tmp_path / "set")
    for folder in (".set.old", "set"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "notes.txt").write_text("mine")
    before = content(tmp_path / "set")
    with pytest.raises(DataError, match="move them away"):
        imported(request, tmp_path / "set", overwrite=True)
    assert content(tmp_path / "set") == before


def test_the_same_clip_twice_is_one(tmp_path: Path) -> None:
    for name in ("a.dcm", "deep/b.dcm"):
        dicom(tmp_path / "in" / name, noise()[None])
    result = imported(Request(tmp_path / "in", "dicom"), tmp_path / "set")
    assert (result.files, result.items, result.doubles, result.refused) == (2, 1, 1, ())


def test_the_same_picture_twice_is_two_for_the_audit_to_see(tmp_path: Path) -> None:
    request = pairs(tmp_path / "in", 1)
    for kind in ("images", "masks"):
        (tmp_path / "in" / kind / "copy.png").write_bytes((tmp_path / "in" / kind / "0.png").read_bytes())
    assert imported(request, tmp_path / "set").items == 2


def test_an_output_that_breaks_ends_the_import(tmp_path: Path) -> None:
    request, out = pairs(tmp_path / "in", 12), tmp_path / "set"

    def breaking(done: int, total: int) -> None:
        if done == 1:
            (out / "masks").rename(out / "gone")
            (out / "masks").write_bytes(b"")

    with pytest.raises(Unwritable, match=r"masks.*cannot be written"):
        imported(request, out, workers=1, told=breaking)
    (out / "masks").unlink()
    (out / "gone").rename(out / "masks")
    assert imported(request, out).items == 12


def test_another_request_does_not_go_on(tmp_path: Path) -> None:
    request = pairs(tmp_path / "in", 3)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(request, tmp_path / "set", told=stop)
    cropped = Request(
        tmp_path / "in", "pictures", LABELS, patient_from="file", region=Region(0, 0, 9, 9), keep_names=True
    )
    with pytest.raises(ConfigError, match="begun with region 'None', not 'Region"):
        imported(cropped, tmp_path / "set")
    with pytest.raises(ConfigError, match="begun with patient key"):
        import_set(request, tmp_path / "set", bytes(32), workers=1)
    assert imported(cropped, tmp_path / "set", overwrite=True).items == 3


def test_a_file_that_changed_during_an_interruption_is_there_as_it_is_now(tmp_path: Path) -> None:
    request = pairs(tmp_path / "in", 3)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(request, tmp_path / "set", workers=1, told=stop)
    write_image(tmp_path / "in" / "images" / "0.png", noise(seed=99))
    assert imported(request, tmp_path / "set").items == 3
    dataset = read_dataset(tmp_path / "set")
    (item,) = (item for item in dataset.items if item.source == "images/0.png")
    assert np.array_equal(dataset.picture(item), noise(seed=99))


def test_source_and_set_do_not_lie_in_each_other(tmp_path: Path) -> None:
    request = pairs(tmp_path / "set" / "in", 1)
    for out in (tmp_path / "set" / "in" / "set", tmp_path / "set"):
        with pytest.raises(ConfigError, match="lies in the other"):
            imported(request, out, overwrite=True)
    assert len(content(tmp_path)) == 2


def test_a_set_is_replaced_once_its_source_was_found(tmp_path: Path) -> None:
    request = pairs(tmp_path / "in", 2)
    imported(request, tmp_path / "set")
    before = content(tmp_path / "set")
    for overwrite, source in ((False, tmp_path / "in"), (True, tmp_path / "none")):
        with pytest.raises((ConfigError, DataError)):
            imported(Request(source, "pictures", LABELS, patient_from="file"), tmp_path / "set", overwrite=overwrite)
        assert content(tmp_path / "set") == before
    for kind in ("images", "masks"):
        (tmp_path / "in" / kind / "1.png").rename(tmp_path / f"{kind}.png")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(request, tmp_path / "set", overwrite=True, told=stop)
    assert content(tmp_path / "set") == before  # until the new one is whole
    again = imported(request, tmp_path / "set", overwrite=True)
    assert (again.items, again.resumed) == (1, 1)
    assert not list(tmp_path.glob(".set*"))
    assert len(content(tmp_path / "set")) == 3


def test_the_labels_of_all_documents_are_the_classes(tmp_path: Path) -> None:
    shape = {"label": "artery", "points": [[1, 1], [9, 9]], "shape_type": "rectangle"}
    laid_out(tmp_path / "in" / "a", label_me())
    laid_out(tmp_path / "in" / "b", label_me(shapes=[shape]))
    laid_out(tmp_path / "in" / "c", {"a.json": b'{"shapes": 1}'})
    result = imported(Request(tmp_path / "in", "labelme", patient_from="folder", keep_outside=True), tmp_path / "set")
    assert (result.items, len(result.refused)) == (2, 1)
    dataset = read_dataset(tmp_path / "set")
    assert dataset.classes == ("background", "artery", "nerve", "vessel")
    assert result.classes == {"artery": 1, "nerve": 1, "vessel": 1}
    with pytest.raises(DataError, match="no shape has a label"):
        imported(Request(tmp_path / "in" / "c", "labelme", patient_from="file", keep_outside=True), tmp_path / "none")


def test_an_nnunet_folder_brings_classes_and_split(tmp_path: Path) -> None:
    laid_out(tmp_path / "in", nnu_net())
    result = imported(Request(tmp_path / "in", "nnunet", patient_from="file", keep_outside=True), tmp_path / "set")
    assert (result.items, result.splits) == (2, {"train": 2})
    dataset = read_dataset(tmp_path / "set")
    assert np.array_equal(dataset.mask(dataset.items[0]), labels())


def test_damaged_files_of_all_sorts_end_in_a_whole_set(tmp_path: Path) -> None:
    """Mutants of one folder: what is imported is whole, what is not is refused, and nothing else is on disk."""
    from tests.data.mutate import mutated

    rng = np.random.default_rng(5)
    for n in range(60):
        _, data = mutated(encoded(".png", noise(seed=n)), rng)
        laid_out(tmp_path / "in", {f"images/{n}.png": data, f"masks/{n}.png": encoded(".png", labels())})
    result = imported(Request(tmp_path / "in", "pictures", LABELS, patient_from="file"), tmp_path / "set")
    assert result.items + len(result.refused) == 60
    assert 3 <= result.items <= 57
    assert not [text for text in result.refused if "\n" in text or len(text) > 500]
    dataset = read_dataset(tmp_path / "set")
    assert set(content(tmp_path / "set")) == {
        MANIFEST,
        *(f"{kind}/{item.id}.png" for item in dataset.items for kind in ("pictures", "masks")),
    }


def test_usgra_seg_arrives_with_its_own_counts(tmp_path: Path) -> None:
    if not USGRA.is_dir():
        pytest.skip("usgra-seg is not here")
    labels_of = read_toml(LabelMap, Path(__file__).parents[2] / "docs" / "usgra-seg.toml")
    request = Request(USGRA, "pictures", labels_of, patient_from="file", keep_names=True)
    result = imported(request, tmp_path / "set", workers=2)
    assert (result.items, result.refused) == (224, ())
    assert result.splits == {"test": 20, "train": 204}
    masks = {p.relative_to(USGRA).as_posix().replace("masks", "images"): p for p in USGRA.rglob("masks/*.png")}
    dataset = read_dataset(tmp_path / "set")
    assert {item.source for item in dataset.items} == set(masks)
    counts = dict.fromkeys(("nerve", "vessel"), 0)
    for item in dataset.items:
        colours = cv2.imread(str(masks[item.source]))  # BGR
        pixels = [int((colours == colour).all(axis=2).sum()) for colour in ((0, 0, 128), (0, 128, 0))]
        assert np.bincount(dataset.mask(item).ravel(), minlength=3)[1:].tolist() == pixels
        for name, found in zip(counts, pixels, strict=True):
            counts[name] += found > 0
    assert result.classes == counts


def test_a_manifest_is_json_that_others_read(tmp_path: Path) -> None:
    imported(pairs(tmp_path / "in", 1), tmp_path / "set")
    (item,) = json.loads((tmp_path / "set" / MANIFEST).read_text())["items"]
    assert item["source"] == "images/0.png"
