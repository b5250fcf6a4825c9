from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import iter_pixels
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    UltrasoundMultiFrameImageStorage,
)

from edge3vt.core.errors import BackendMissingError, DataError
from edge3vt.core.frame import Layout, Region
from edge3vt.picture.dicom import open_dicom

FOUR_CHAMBER = Path(str(get_testdata_file("examples_ybr_color.dcm", download=False)))


def dataset(pixels: np.ndarray, interpretation: str, **elements: Any) -> Dataset:
    """A native multi-frame file of (N, H, W) or (N, H, W, 3) pixels."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3"
    ds.NumberOfFrames, ds.Rows, ds.Columns = pixels.shape[:3]
    ds.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    if pixels.ndim == 4:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = interpretation
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for name, value in elements.items():
        setattr(ds, name, value)
    return ds


def saved(ds: Dataset, folder: Path) -> Path:
    path = folder / "clip.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def ramp(count: int = 3, dtype: type = np.uint8) -> np.ndarray:
    return (np.arange(count * 8 * 10).reshape(count, 8, 10) % 250).astype(dtype)


def region(x0: int, y0: int, x1: int, y1: int, **elements: Any) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat = item.RegionDataType = 1
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = 0.02
    for name, value in elements.items():
        setattr(item, name, value)
    return item


def test_the_four_chamber_cine() -> None:
    clip = open_dicom(FOUR_CHAMBER)
    pictures = list(clip.pictures())
    assert (clip.frames, clip.width, clip.height) == (30, 320, 240)
    assert len(pictures) == 30
    assert clip.rate_hz == pytest.approx(30, abs=0.01)
    assert pictures[29].time_ns == pytest.approx(29 * 33_333_000, abs=10)
    assert (clip.region, clip.mm_per_px) == (None, None)
    assert "does not fit" in clip.notes[0]  # its header is that of the 640 x 480 original


def test_colours_are_those_that_pydicom_gives() -> None:
    theirs_of_all = iter_pixels(dcmread(FOUR_CHAMBER))
    for ours, theirs in zip(open_dicom(FOUR_CHAMBER).pictures(), theirs_of_all, strict=True):
        assert ours.layout is Layout.RGB
        assert np.abs(ours.pixels.astype(int) - theirs).max() <= 1


def test_rgb_and_monochrome_are_exact(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (2, 8, 10, 3), dtype=np.uint8)
    pictures = list(open_dicom(saved(dataset(rgb, "RGB"), tmp_path)).pictures())
    assert np.array_equal(np.stack([p.pixels for p in pictures]), rgb)
    grey = ramp()
    pictures = list(open_dicom(saved(dataset(grey, "MONOCHROME2"), tmp_path)).pictures())
    assert np.array_equal(np.stack([p.pixels for p in pictures]), grey)
    assert pictures[0].layout is Layout.GRAY
    inverted = next(open_dicom(saved(dataset(grey, "MONOCHROME1"), tmp_path)).pictures())
    assert np.array_equal(inverted.pixels, 255 - grey[0])


def test_ybr_full_is_converted(tmp_path: Path) -> None:
    ybr = np.full((1, 8, 10, 3), (76, 85, 255), np.uint8)
    picture = next(open_dicom(saved(dataset(ybr, "YBR_FULL"), tmp_path)).pictures())
    assert np.abs(picture.pixels.astype(int) - (255, 0, 0)).max() <= 2


def test_a_palette_is_applied(tmp_path: Path) -> None:
    ds = dataset(ramp(1), "PALETTE COLOR")
    for colour, table in (("Red", np.arange(256)), ("Green", 255 - np.arange(256)), ("Blue", np.full(256, 7))):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"{colour}PaletteColorLookupTableData", (table * 257).astype("<u2").tobytes())
    picture = next(open_dicom(saved(ds, tmp_path)).pictures())
    assert picture.pixels[0, 5].tolist() == [5, 250, 7]


def test_sixteen_bits_are_windowed(tmp_path: Path) -> None:
    stored = np.array([[[0, 999, 1000, 1500, 2000, 4000]]], np.uint16)
    ds = dataset(stored, "MONOCHROME2", WindowCenter="1500.5", WindowWidth="1001")
    clip = open_dicom(saved(ds, tmp_path))
    assert next(clip.pictures()).pixels[0].tolist() == [0, 0, 0, 128, 255, 255]
    assert not clip.notes


def test_a_rescaled_signed_picture_is_windowed(tmp_path: Path) -> None:
    stored = np.array([[[-1000, -100, 0, 100, 1000]]], np.int16)
    ds = dataset(stored, "MONOCHROME2", WindowCenter="0", WindowWidth="400", VOILUTFunction="LINEAR_EXACT")
    ds.RescaleSlope, ds.RescaleIntercept = "2", "0"
    assert next(open_dicom(saved(ds, tmp_path)).pictures()).pixels[0].tolist() == [0, 0, 128, 255, 255]


def test_without_a_window_the_first_picture_sets_the_scale(tmp_path: Path) -> None:
    stored = np.array([[[100, 300]], [[200, 900]]], np.uint16)
    clip = open_dicom(saved(dataset(stored, "MONOCHROME2", FrameTime="40"), tmp_path))
    assert [p.pixels[0].tolist() for p in clip.pictures()] == [[0, 255], [128, 255]]
    assert "stretched" in clip.notes[0]


@pytest.mark.parametrize(
    ("elements", "times_ms", "rate_hz"),
    [
        ({"FrameTimeVector": ["0", "10", "30"], "FrameTime": "50", "CineRate": 5}, [0, 10, 40], 50),
        ({"FrameTimeVector": ["0", "10"], "FrameTime": "50", "CineRate": 5}, [0, 50, 100], 20),
        ({"FrameTimeVector": ["0", "10", "-5"], "FrameTime": "50"}, [0, 50, 100], 20),
        ({"FrameTime": "0", "CineRate": 40, "RecommendedDisplayFrameRate": 10}, [0, 25, 50], 40),
        ({"RecommendedDisplayFrameRate": 10}, [0, 100, 200], 10),
        ({}, [0, 1000 / 30, 2000 / 30], 30),
    ],
)
def test_the_rate_comes_from_the_header(
    tmp_path: Path, elements: dict[str, Any], times_ms: list[float], rate_hz: float
) -> None:
    clip = open_dicom(saved(dataset(ramp(), "MONOCHROME2", **elements), tmp_path))
    assert [t / 1e6 for t in clip.times_ns] == pytest.approx(times_ms, abs=1e-3)
    assert [p.time_ns for p in clip.pictures()] == list(clip.times_ns)
    assert clip.rate_hz == pytest.approx(rate_hz)
    assert bool(clip.notes) == (not elements)


def opened_with(tmp_path: Path, *items: Dataset) -> Any:
    pixels = np.zeros((1, 80, 100), np.uint8)
    return open_dicom(saved(dataset(pixels, "MONOCHROME2", SequenceOfUltrasoundRegions=list(items)), tmp_path))


def test_the_largest_tissue_region_is_taken(tmp_path: Path) -> None:
    clip = opened_with(
        tmp_path, region(0, 0, 20, 20), region(10, 5, 89, 69), region(0, 0, 99, 79, RegionSpatialFormat=2)
    )
    assert clip.region == Region(10, 5, 90, 70)
    assert clip.mm_per_px == pytest.approx(0.2)


def test_a_region_one_column_too_wide_is_clipped(tmp_path: Path) -> None:
    assert opened_with(tmp_path, region(10, 5, 100, 80)).region == Region(10, 5, 100, 80)


def test_a_region_of_another_size_is_not_believed(tmp_path: Path) -> None:
    clip = opened_with(tmp_path, region(20, 10, 180, 150))
    assert (clip.region, clip.mm_per_px) == (None, None)
    assert "does not fit" in clip.notes[0]


@pytest.mark.parametrize("odd", [{"PhysicalUnitsXDirection": 4}, {"PhysicalDeltaY": 0.03}, {"PhysicalDeltaX": 0.0}])
def test_a_region_without_one_scale_has_none(tmp_path: Path, odd: dict[str, Any]) -> None:
    clip = opened_with(tmp_path, region(10, 5, 89, 69, **odd))
    assert clip.region == Region(10, 5, 90, 70)
    assert clip.mm_per_px is None


def test_no_region_at_all(tmp_path: Path) -> None:
    clip = open_dicom(saved(dataset(ramp(1), "MONOCHROME2"), tmp_path))
    assert (clip.region, clip.mm_per_px, clip.notes) == (None, None, ())


def test_a_single_picture_is_a_clip_of_one(tmp_path: Path) -> None:
    ds = dataset(ramp(1), "MONOCHROME2")
    del ds.NumberOfFrames
    assert len(list(open_dicom(saved(ds, tmp_path)).pictures())) == 1


def edited(**elements: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        dataset(ramp(), "MONOCHROME2", **elements).save_as(path, enforce_file_format=True)

    return write


def without_pixels(path: Path) -> None:
    ds = dataset(ramp(), "MONOCHROME2")
    del ds.PixelData
    ds.save_as(path, enforce_file_format=True)


def with_syntax(uid: str) -> Callable[[Path], None]:
    """A whole file whose meta header names another transfer syntax."""

    def write(path: Path) -> None:
        dataset(ramp(), "MONOCHROME2").save_as(path, enforce_file_format=True)
        data = path.read_bytes()
        old = ExplicitVRLittleEndian.encode()
        name = uid.encode() + b"\0" * (len(uid) % 2)
        at = data.index(b"UI" + struct.pack("<H", len(old) + len(old) % 2) + old)
        rest = at + 4 + len(old) + len(old) % 2
        grown = len(name) - (len(old) + len(old) % 2)
        data = data[:at] + b"UI" + struct.pack("<H", len(name)) + name + data[rest:]
        length = struct.unpack("<I", data[140:144])[0]
        path.write_bytes(data[:140] + struct.pack("<I", length + grown) + data[144:])

    return write


def cut_at(share: float, source: Path | None = None) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        if source is None:
            edited()(path)
        data = (source or path).read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return write


def fewer_fragments(path: Path) -> None:
    ds = dcmread(FOUR_CHAMBER)
    ds.NumberOfFrames = 40
    ds.save_as(path)


def spoiled_jpeg(path: Path) -> None:
    data = bytearray(FOUR_CHAMBER.read_bytes())
    at = data.index(b"\xff\xd8\xff")
    data[at : at + 4] = b"\0\0\0\0"
    path.write_bytes(data)


def pixels_elsewhere(path: Path) -> None:
    """JPIP Referenced: the pixels are behind an address."""
    path.write_bytes(FOUR_CHAMBER.read_bytes().replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.94", 1))


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda path: path.touch(), "empty (0 bytes)"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "text": (lambda path: path.write_text("a report, not a picture. " * 20), "not a DICOM file"),
    "no pixels": (without_pixels, "no pixels"),
    "native cut": (cut_at(0.8), "truncated"),
    "encapsulated cut": (cut_at(0.5, FOUR_CHAMBER), "truncated"),
    "encapsulated cut at the end": (cut_at(0.97, FOUR_CHAMBER), "truncated"),
    "cut in the header": (cut_at(0.1, FOUR_CHAMBER), "truncated"),
    "too few fragments": (fewer_fragments, "30 of 40 pictures"),
    "first picture spoiled": (spoiled_jpeg, "damaged"),
    "deflated": (with_syntax(DeflatedExplicitVRLittleEndian), "deflated"),
    "encapsulated video": (with_syntax(MPEG4HP41), "extract it"),
    "no transfer syntax": (with_syntax("1.2.3.4"), "not a transfer syntax"),
    "pixels elsewhere": (pixels_elsewhere, "not known"),
    "huge side": (edited(Columns=60000), "claims 60000x8 px"),
    "huge count": (edited(NumberOfFrames=2_000_000), "claims 2000000 pictures"),
    "more pictures than bytes": (edited(NumberOfFrames=19_999), "bytes of pixels are there"),
    "32 bits": (edited(BitsAllocated=32), "32 bits"),
    "colour of an unknown kind": (edited(PhotometricInterpretation="ARGB"), "ARGB"),
    "no size": (edited(Rows=None), "damaged"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_clip_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    write, said = BAD[kind]
    path = tmp_path / "clip.dcm"
    write(path)
    with pytest.raises(DataError) as refused:
        open_dicom(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        open_dicom(tmp_path / "none.dcm")


def test_a_missing_decoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Decoder, "is_available", False)
    with pytest.raises(BackendMissingError, match=r"JPEG Baseline .* python-gdcm"):
        open_dicom(FOUR_CHAMBER)


def test_damage_further_on_is_found_when_it_comes(tmp_path: Path) -> None:
    data = FOUR_CHAMBER.read_bytes()
    starts = [i for i in range(len(data)) if data.startswith(b"\xff\xd8\xff", i)]
    assert len(starts) == 30
    path = tmp_path / "clip.dcm"
    path.write_bytes(data[: starts[9]] + b"\0\0\0\0" + data[starts[9] + 4 :])
    pictures = open_dicom(path).pictures()
    for _ in range(9):
        next(pictures)
    with pytest.raises(DataError, match="damaged"):
        next(pictures)


def test_the_cine_of_pydicom_data() -> None:
    found = get_testdata_file("color3d_jpeg_baseline.dcm", download=False)
    if found is None:
        pytest.skip("pydicom-data is not installed")
    clip = open_dicom(Path(str(found)))
    assert clip.frames == sum(1 for _ in clip.pictures()) == 120
    assert clip.region == Region(84, 31, 596, 415)
    assert clip.mm_per_px == pytest.approx(0.5105, abs=1e-4)
