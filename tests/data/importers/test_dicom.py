from __future__ import annotations

import os
import pickle
import warnings
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_charset_files, get_testdata_files
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

from edge3vt.core.digest import sha256_file
from edge3vt.core.errors import BackendMissingError, DataError, Edge3vtError
from edge3vt.core.frame import Frame, Region
from edge3vt.data.dataset import Item, read_dataset
from edge3vt.data.decoder import Decoder
from edge3vt.data.importers import dicom
from edge3vt.data.importers.dicom import find, read
from edge3vt.data.imports import import_set
from edge3vt.data.intake import Request
from edge3vt.picture import dicom as clips
from edge3vt.picture.dicom import open_dicom

FILES = sorted({Path(path) for path in get_testdata_files("**/*") + get_charset_files("*") if Path(path).is_file()})
CANARY = "CANARY"


def file(name: str) -> Path:
    (found,) = (path for path in FILES if path.name == name)
    return found


def ultrasound(pixels: np.ndarray, **elements: Any) -> Dataset:
    """A native monochrome cine of (N, H, W) pixels whose header is full of identity."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.826.0.1.4711"
    ds.StudyInstanceUID = ds.SeriesInstanceUID = "1.2.826.0.1.4712"
    ds.Modality, ds.PatientName, ds.PatientID = "US", f"{CANARY}^Jane", f"{CANARY}-ID"
    ds.IssuerOfPatientID = ds.InstitutionName = ds.StationName = ds.ReferringPhysicianName = CANARY
    ds.InstitutionAddress = ds.StudyDescription = ds.PatientComments = ds.ImageComments = CANARY
    ds.PatientBirthDate = ds.StudyDate = ds.ContentDate = "19860426"
    ds.NumberOfFrames, ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for name, value in elements.items():
        setattr(ds, name, value)
    return ds


def saved(folder: Path, ds: Dataset | None = None, **elements: Any) -> Path:
    path = folder / "clip.dcm"
    (ds or ultrasound(noise(), **elements)).save_as(path, enforce_file_format=True)
    return path


def noise(frames: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, 80, 100), dtype=np.uint8)


def region(x0: int, y0: int, x1: int, y1: int, **elements: int) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat = item.RegionDataType = 1
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = 0.02
    for name, value in elements.items():
        setattr(item, name, value)
    return item


def luma_of(rgb: np.ndarray) -> np.ndarray:
    """BT.601, in floating point."""
    return np.rint(rgb @ np.array([0.299, 0.587, 0.114]))


def pydicom_luma(path: Path) -> np.ndarray:
    """(N, H, W), with nothing but pydicom's own functions and the definition of luma."""
    ds = dcmread(path)
    pixels = pixel_array(ds)
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        rgb = apply_color_lut(pixels, ds)
        grey = luma_of(rgb if rgb.dtype == np.uint8 else rgb >> 8)
    elif ds.SamplesPerPixel == 3:
        grey = luma_of(pixels)
    else:
        plain = ds.BitsAllocated == 8 and "WindowCenter" not in ds and "VOILUTSequence" not in ds
        shown = np.asarray(apply_voi_lut(apply_modality_lut(pixels, ds), ds, index=0), dtype=np.float64)
        if "VOILUTSequence" in ds:
            shown *= 255 / (2 ** int(ds.VOILUTSequence[0].LUTDescriptor[2]) - 1)
        elif ds.get("WindowCenter"):
            signed, bits = ds.PixelRepresentation, ds.BitsStored
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
            if "RescaleSlope" in ds:
                low, high = (value * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for value in (low, high))
            shown = (shown - low) * 255 / (high - low)
        elif not plain:
            first = shown[0] if int(ds.get("NumberOfFrames") or 1) > 1 else shown
            shown = (shown - first.min()) * 255 / max(np.ptp(first), 1e-9)
        grey = np.rint(np.clip(shown, 0, 255))
        if ds.PhotometricInterpretation == "MONOCHROME1":
            grey = 255 - grey
    return grey.reshape(-1, ds.Rows, ds.Columns)


@cache
def clip_or_reason(path: Path) -> np.ndarray | str:
    """The luma of all pictures of a file of whatever modality, or why there are none."""
    try:
        clip = open_dicom(path)
        return np.stack([Frame(0, 0, picture.pixels, picture.layout).luma for picture in clip.pictures()])
    except Edge3vtError as error:
        return str(error)


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():  # pydicom warns of its own odd files
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_of_pydicom_is_right_or_refused(path: Path) -> None:
    ours = clip_or_reason(path)
    if isinstance(ours, str):
        assert ours.startswith(f"{path}: ")
        assert "\n" not in ours
        assert len(ours) < len(str(path)) + 250
    else:
        theirs = pydicom_luma(path)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1


def test_most_files_with_pixels_are_read() -> None:
    """None is refused whose pixels pydicom itself gives here, but for those that no ultrasound picture is like."""
    read_right, refused_well, refused = 0, 0, []
    for path in FILES:
        if not isinstance(ours := clip_or_reason(path), str):
            read_right += 1
            continue
        reasons = ("32 bits", "1 bits", "RGB, 16 bits", "not a DICOM file", "is not a transfer syntax")
        if any(reason in ours for reason in reasons):
            refused_well += 1
            continue
        try:
            pydicom_luma(path)
        except Exception:
            refused_well += 1
        else:
            refused.append(path.name)
    assert not refused
    assert read_right >= 130
    assert refused_well >= 100


def test_the_ultrasound_of_pydicom_is_imported() -> None:
    taken, left = [], []
    for path in FILES:
        try:
            taken += [path.name] * (len(list(read(path))) > 0)
        except (DataError, BackendMissingError) as error:
            left.append((path.name, str(error)))
    assert len(taken) >= 60
    assert {"color3d_jpeg_baseline.dcm", "US1_J2KR.dcm", "OBXXXX1A_rle_2frame.dcm", "image_dfl.dcm"} <= set(taken)
    assert "CT_small.dcm" not in taken
    reasons = dict(left)
    assert "modality is CT, expected US" in reasons["CT_small.dcm"]
    assert "two 2D pictures on one screen" in reasons["gdcm-US-ALOKA-16.dcm"]
    assert "pip install python-gdcm" in reasons["JPGLosslessP14SV1_1s_1f_8b.dcm"]
    assert "pip install python-gdcm" in reasons["JPGExtended.dcm"]  # Pillow takes the syntax, but not 12 bits
    assert "no pixels" in reasons["rtplan.dcm"]


def test_an_import_of_all_files_of_pydicom_is_right_or_refused(tmp_path: Path) -> None:
    """Every file ends as items that pydicom agrees with, as the same as another, or in the list of what was refused."""
    source = tmp_path / "source"
    source.mkdir()
    links = {source / f"{n:03} {path.name}": path for n, path in enumerate(FILES)}
    for link, path in links.items():
        link.symlink_to(path)
    request = Request(source, "dicom", patient_from="file", keep_outside=True)
    result = import_set(request, tmp_path / "set", bytes(32), workers=2)
    found = find(source)
    assert result.files == len(found)
    passed_over = [links[link].suffix for link in links.keys() - set(found)]
    assert not {".dcm", ".dicom"} & set(passed_over)

    by_source: dict[str, list[Item]] = {}
    dataset = read_dataset(tmp_path / "set")
    for item in dataset.items:
        by_source.setdefault(item.source, []).append(item)
    reasons = {link: text for link in found for text in result.refused if text.startswith(f"{link}: ")}
    assert len(reasons) == len(result.refused)
    assert len(reasons) + result.doubles + len(by_source) == len(found)
    compared = 0
    for link in found:
        items = by_source.get(f"sha256:{sha256_file(link)}", [])
        assert bool(items) != (link in reasons)
        if items:
            theirs = pydicom_luma(links[link])
            assert len(items) == len(theirs)
            for item, expected in zip(sorted(items, key=lambda item: item.frame or 0), theirs, strict=True):
                assert np.abs(dataset.picture(item) - expected).max() <= 1
                compared += 1
    assert compared >= 200
    assert len(by_source) >= 55


def test_a_palette_picture_of_two_regions() -> None:
    (raw,) = read(file("OBXXXX1A.dcm"))
    assert raw.region == Region(120, 60, 800, 519)  # the other holds a trace
    assert raw.mm_per_px == pytest.approx(0.26229, abs=1e-5)
    assert np.array_equal(raw.picture, pydicom_luma(file("OBXXXX1A.dcm"))[0])
    assert (raw.mask, raw.frame) == (None, None)


def test_a_cine() -> None:
    raws = list(read(file("color3d_jpeg_baseline.dcm")))
    assert [raw.frame for raw in raws] == list(range(120))
    assert {raw.region for raw in raws} == {Region(84, 31, 596, 415)}
    assert raws[7].facts["rate_hz"] == pytest.approx(30, abs=0.001)
    assert raws[7].facts["burnt_in_text"] == "unknown"


def test_a_rate_that_was_assumed_is_no_fact(tmp_path: Path) -> None:
    assert "rate_hz" not in next(read(saved(tmp_path))).facts
    assert next(read(saved(tmp_path, CineRate=50))).facts["rate_hz"] == 50
    assert next(read(saved(tmp_path, BurnedInAnnotation="YES"))).facts["burnt_in_text"] == "yes"


def test_in_a_child_it_is_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path, ultrasound(pixels := noise(40)))
    with Decoder() as decoder:
        raws = decoder.call(read, path)
    assert np.array_equal([raw.picture for raw in raws], pixels)


def test_identity_stays_behind(tmp_path: Path) -> None:
    path = saved(tmp_path, SequenceOfUltrasoundRegions=[region(10, 5, 89, 69)])
    assert CANARY.encode() in path.read_bytes()
    for raw in read(path):
        assert raw.patient_key == f"{CANARY}-ID\0{CANARY}".casefold()
        assert CANARY not in repr(raw)
        told = pickle.dumps((raw.picture, raw.mask, raw.region, raw.mm_per_px, raw.frame, raw.facts))
        for identity in (CANARY, "19860426", "4711", "4712", "clip.dcm"):
            assert identity.encode() not in told
    assert CANARY not in repr(open_dicom(path))


def test_refusals_do_not_quote_the_header(tmp_path: Path) -> None:
    """Each element in turn is given the patient's name, as damage may do it."""
    whole = dcmread(saved(tmp_path, SequenceOfUltrasoundRegions=[region(10, 5, 89, 69)], FrameTime="40"))
    messages = []
    for element in whole:
        if element.keyword in ("PatientID", "IssuerOfPatientID", "PixelData"):
            continue
        ds = dcmread(tmp_path / "clip.dcm")
        ds.add_new(element.tag, "LO", f"{CANARY}^Jane")
        path = tmp_path / "odd.dcm"
        ds.save_as(path)
        try:
            told = pickle.dumps([raw.facts for raw in read(path)])
        except DataError as error:
            messages.append(str(error))
        else:
            assert CANARY.encode() not in told
    assert len(messages) >= 5
    assert not [message for message in messages if CANARY in message]


@pytest.mark.parametrize("anonymous", [{"PatientID": ""}, {"PatientID": "  ", "IssuerOfPatientID": "a clinic"}])
def test_without_an_id_there_is_no_patient(tmp_path: Path, anonymous: dict[str, str]) -> None:
    assert next(read(saved(tmp_path, **anonymous))).patient_key is None


def test_one_patient_is_one_however_the_id_is_written(tmp_path: Path) -> None:
    keys = [next(read(saved(tmp_path, PatientID=id))).patient_key for id in ("mrn-7a", " MRN-7A ", "MRN-7A\0")]
    assert len(set(keys)) == 1
    split = [("A", "B OF C"), ("A OF B", "C")]
    assert len({next(read(saved(tmp_path, PatientID=i, IssuerOfPatientID=j))).patient_key for i, j in split}) == 2


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"Modality": "CT"}, "its modality is CT"),
        ({"SequenceOfUltrasoundRegions": [region(0, 0, 49, 79), region(50, 0, 99, 79)]}, "two 2D pictures"),
        ({"SequenceOfUltrasoundRegions": [region(0, 0, 99, 39), region(0, 38, 99, 79)]}, "two 2D pictures"),
        ({"SequenceOfUltrasoundRegions": [region(0, 0, 99, 79, RegionSpatialFormat=2)]}, "none of its regions"),
    ],
)
def test_what_is_no_single_ultrasound_picture_is_refused(tmp_path: Path, elements: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        list(read(saved(tmp_path, **elements)))


@pytest.mark.parametrize(
    ("regions", "taken"),
    [
        ([region(10, 5, 89, 69), region(0, 0, 9, 9)], Region(10, 5, 90, 70)),  # an inset
        ([region(10, 5, 89, 69), region(20, 15, 69, 69)], Region(10, 5, 90, 70)),  # a region within
        ([region(0, 60, 99, 79, RegionSpatialFormat=3), region(0, 0, 99, 59)], Region(0, 0, 100, 60)),  # a trace below
        ([region(0, 0, 199, 159)], None),  # of another size: not believed
        ([], None),
    ],
)
def test_the_tissue_region_is_taken(tmp_path: Path, regions: list[Dataset], taken: Region | None) -> None:
    raw = next(read(saved(tmp_path, SequenceOfUltrasoundRegions=regions)))
    assert raw.region == taken
    assert raw.mm_per_px == (pytest.approx(0.2) if taken else None)


def test_sixteen_bits_need_a_window(tmp_path: Path) -> None:
    pixels = (noise().astype(np.uint16) << 4) + 3
    with pytest.raises(DataError, match="16 bits without a window"):
        next(read(saved(tmp_path, ultrasound(pixels))))
    windowed = ultrasound(pixels, WindowCenter="2048", WindowWidth="4096")
    assert next(read(saved(tmp_path, windowed))).picture.std() > 50


def test_a_clip_too_long_for_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "MAX_CLIP_BYTES", 3 * 80 * 100)
    assert len(list(read(saved(tmp_path)))) == 3
    monkeypatch.setattr(dicom, "MAX_CLIP_BYTES", 3 * 80 * 100 - 1)
    with pytest.raises(DataError, match="cut the clip"):
        list(read(saved(tmp_path)))


def test_a_file_too_large_for_a_child_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom, "MAX_FILE_BYTES", 2 << 20)
    path = saved(tmp_path)
    assert list(read(path))
    os.truncate(path, (2 << 20) + 1)
    with pytest.raises(DataError, match="larger than 2 MiB; cut the clip first"):
        list(read(path))


def deflated(path: Path, body: bytes) -> Path:
    """A file whose deflated part is ``body``."""
    ds = ultrasound(noise(1))
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    start = 144 + int.from_bytes(data[140:144], "little")
    path.write_bytes(data[:start] + (body or data[start:]))
    return path


def test_deflated_files_are_read_unless_they_swell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = deflated(tmp_path / "whole.dcm", b"")
    assert np.array_equal(next(read(whole)).picture, noise(1)[0])
    with pytest.raises(DataError, match="cannot be inflated"):
        next(read(deflated(tmp_path / "torn.dcm", b"\xff" * 100)))
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(bytes(64 << 20)) + packer.flush()
    assert len(bomb) < 100_000
    monkeypatch.setattr(clips, "MAX_INFLATED_BYTES", 16 << 20)
    with pytest.raises(DataError, match="inflates to more than 16 MiB"):
        next(read(deflated(tmp_path / "bomb.dcm", bomb)))


def test_files_are_found_by_name_or_by_their_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in ("b/IM0001", "b/deep/2.dcm", "a.DCM", ".hidden.dcm", "DICOMDIR"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    (tmp_path / "b" / "broken.dcm").write_bytes(b"")
    (tmp_path / "b" / "notes.txt").write_text("not a picture")
    names = [path.relative_to(tmp_path).as_posix() for path in find(tmp_path)]
    assert names == ["a.DCM", "b/IM0001", "b/broken.dcm", "b/deep/2.dcm"]
    assert find(tmp_path / "a.DCM") == [tmp_path / "a.DCM"]
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no DICOM files"):
        find(empty)
    with pytest.raises(DataError, match="is not there"):
        find(tmp_path / "none")


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "b").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "c.dcm")  # reading it would wait for ever
    assert find(tmp_path) == [tmp_path / "a"]
