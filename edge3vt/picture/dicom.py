"""DICOM clips: rate, region and scale from the header, pictures decoded one by one."""

from __future__ import annotations

import math
import os
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.errors import BackendMissingError, DataError, Edge3vtError
from edge3vt.core.frame import Layout, Pixels, Region
from edge3vt.picture.clip import DEFAULT_RATE_HZ, Picture, check_size, file_size, steady_times_ns
from edge3vt.picture.colour import ybr_to_rgb
from edge3vt.picture.grey import needs_stretch, value_table

MAX_BYTES = 2 << 30
MAX_FRAMES = 20_000
RATES_HZ = (0.5, 1000.0)
MAX_INFLATED_BYTES = 512 << 20
_COLOURS = ("ARGB", "CMYK", "HSV", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422")
_VIDEO_SYNTAXES = "1.2.840.10008.1.2.4.10"  # MPEG-2, H.264, HEVC: .100 to .108


@dataclass(frozen=True, slots=True, eq=False)
class DicomClip:
    """A DICOM file that was read whole and whose first picture could be decoded.

    times_ns: when each picture is due. rate_told: by the header; else it is assumed.
    region, mm_per_px: of its largest 2D tissue region, None where unknown.
    stretched: the file does not say what its grey levels are; the first picture's darkest and brightest are black
    and white.
    tissue: all 2D tissue regions, the largest first; None where the header tells of no region that can be believed.
    patient: the identity that the header gives, with its issuer after a NUL, in small letters without the padding that
    differs between exports; never to be stored, shown or logged as it is.
    burnt_in: what the header says of text in the picture: YES, NO or unknown.
    """

    path: Path
    frames: int
    width: int
    height: int
    times_ns: tuple[int, ...]
    rate_hz: float
    rate_told: bool
    mm_per_px: float | None
    notes: tuple[str, ...]
    stretched: bool
    tissue: tuple[Region, ...] | None
    modality: str
    burnt_in: str
    patient: str | None = field(repr=False)
    _dataset: Any = field(repr=False)
    _table: Pixels | None = field(repr=False)  # stored value -> grey, or -> RGB

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def region(self) -> Region | None:
        return self.tissue[0] if self.tissue else None

    def pictures(self) -> Iterator[Picture]:
        """Monochrome pictures as GRAY, all other as RGB, each at its time."""
        index = -1
        for index, (stored, interpretation) in enumerate(_decoded(self._dataset, self.path)):
            pixels = _shown(stored, interpretation, self._table, self.path)
            if index >= self.frames or pixels.shape[:2] != (self.height, self.width):
                raise _damaged(self.path, f"picture {index} is {pixels.shape[1]}x{pixels.shape[0]} px")
            yield Picture(self.times_ns[index], pixels, Layout.GRAY if pixels.ndim == 2 else Layout.RGB)
        if index + 1 != self.frames:
            raise _damaged(self.path, f"{index + 1} of {self.frames} pictures are there")


def open_dicom(path: Path) -> DicomClip:
    """Read a DICOM file and decode its first picture.

    Raises DataError for what cannot be a clip, BackendMissingError where pydicom lacks a decoder for it.
    """
    if file_size(path) > MAX_BYTES:
        raise DataError(f"{path}: larger than {MAX_BYTES >> 30} GiB; cut the clip first")
    with warnings.catch_warnings():  # what is odd in a header is judged here
        warnings.simplefilter("ignore")
        try:
            dataset = _read(path)
            frames = _counted_frames(dataset, path)
            first, interpretation = next(_decoded(dataset, path))
            table = value_table(dataset, first)
            _shown(first, interpretation, table, path)
            times_ns, rate_hz, guessed = _times(dataset, frames)
            tissue, mm_per_px, more = _tissue(dataset)
            modality, burnt_in, patient = _told(dataset)
        except (Edge3vtError, MemoryError):
            raise
        except Exception as error:  # pydicom raises whatever the damage leads to; its text may quote the header
            raise _damaged(path, f"{type(error).__name__} in its header") from error
    stretch: tuple[str, ...] = ()
    if table is not None and needs_stretch(dataset):
        stretch = ("no window; grey levels are stretched from the first picture's darkest to its brightest",)
    return DicomClip(
        path=path,
        frames=frames,
        width=dataset.Columns,
        height=dataset.Rows,
        times_ns=times_ns,
        rate_hz=rate_hz,
        rate_told=not guessed,
        mm_per_px=mm_per_px,
        notes=guessed + stretch + more,
        stretched=bool(stretch),
        tissue=tissue,
        modality=modality,
        burnt_in=burnt_in,
        patient=patient,
        _dataset=dataset,
        _table=table,
    )


def _read(path: Path) -> Any:
    """The dataset, after its transfer syntax was found to be one that holds pictures."""
    with _File(path.open("rb", buffering=0)) as file:
        try:
            read_preamble(file, force=False)
        except InvalidDicomError as error:
            raise DataError(f"{path}: not a DICOM file; expected DICM at byte 128, as a scanner exports it") from error
        syntax = read_dataset(file, False, True, stop_when=_past_meta).get("TransferSyntaxUID", "")
        if syntax == DeflatedExplicitVRLittleEndian:
            _check_inflated(file, path)
        if syntax.startswith(_VIDEO_SYNTAXES):
            raise DataError(f"{path}: holds an encapsulated {syntax.name} video; extract it and give the video file")
        file.seek(0)
        return pydicom.dcmread(file)


class _File(BufferedReader):
    """A file that takes no memory for what an element claims to hold beyond the file's end."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > 1 << 20:
            size = min(size, max(os.fstat(self.fileno()).st_size - self.tell(), 0))
        return super().read(size)


def _past_meta(tag: int, vr: str | None, length: int) -> bool:
    return tag >> 16 != 2


def _check_inflated(file: _File, path: Path) -> None:
    """Refuse a deflated dataset that would swell beyond reason, before it is inflated whole."""
    inflator, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    try:
        rest = file.read(1 << 20)
        while rest and not inflator.eof:
            size += len(inflator.decompress(rest, 4 << 20))
            rest = inflator.unconsumed_tail or file.read(1 << 20)
            if size > MAX_INFLATED_BYTES:
                raise DataError(f"{path}: inflates to more than {MAX_INFLATED_BYTES >> 20} MiB; cut the clip first")
    except zlib.error as error:
        raise _damaged(path, "its deflated part cannot be inflated") from error


def _counted_frames(dataset: Any, path: Path) -> int:
    """How many pictures there are, after what the header claims was held against what the file holds."""
    if "PixelData" not in dataset:
        raise DataError(f"{path}: no pixels; it is truncated, or a report or structured document: give an image clip")
    frames = int(dataset.get("NumberOfFrames") or 1)
    check_size(int(dataset.Columns), int(dataset.Rows), str(path))
    if not 1 <= frames <= MAX_FRAMES:
        raise DataError(f"{path}: claims {frames} pictures, expected 1 to {MAX_FRAMES}; cut the clip first")
    if (bits := int(dataset.BitsAllocated)) not in (8, 16):
        raise DataError(f"{path}: {bits} bits a sample, expected 8 or 16; export it again")
    if _encapsulated(dataset, path):
        held = sum(1 for _ in generate_frames(dataset.PixelData, number_of_frames=frames))
        if held < frames:
            raise _damaged(path, f"{held} of {frames} pictures are there")
    else:
        expected, held = get_expected_length(dataset), len(dataset.PixelData)
        if held < expected:
            raise _damaged(path, f"{held} of {expected} bytes of pixels are there")
    return frames


def _encapsulated(dataset: Any, path: Path) -> bool:
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        return bool(syntax.is_encapsulated)
    except ValueError as error:
        raise DataError(f"{path}: {syntax} is not a transfer syntax that is known; export it uncompressed") from error


def _decoded(dataset: Any, path: Path) -> Iterator[tuple[Any, str]]:
    """Each picture as stored, and its photometric interpretation."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise DataError(f"{path}: transfer syntax {syntax.name} is not known; export it uncompressed") from error
    if not decoder.is_available:
        raise _undecodable(path, syntax)
    try:
        # A single picture is asked for by its index: pydicom then corrects its sign in memory that it may write to.
        only = None if int(dataset.get("NumberOfFrames") or 1) > 1 else [0]
        for stored, told in decoder.iter_array(dataset, raw=True, indices=only):
            native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
            yield native, str(told["photometric_interpretation"])
    except Exception as error:  # decoders raise whatever the damage leads to; their text may quote the header
        if "Pillow does not support" in str(error):  # its 12-bit JPEG
            raise _undecodable(path, syntax) from error
        raise _damaged(path, f"{type(error).__name__} in its pixels") from error


def _shown(stored: Any, interpretation: str, table: Pixels | None, path: Path) -> Pixels:
    """A stored picture as (H, W) grey or (H, W, 3) RGB."""
    match interpretation:
        case "MONOCHROME1" | "MONOCHROME2" | "PALETTE COLOR":
            unsigned = stored.view(f"u{stored.itemsize}")
            return np.asarray(unsigned if table is None else table[unsigned], dtype=np.uint8)
        case "YBR_FULL" | "YBR_FULL_422" if stored.dtype == np.uint8:
            return ybr_to_rgb(stored)
        case "RGB" if stored.dtype == np.uint8:
            return np.asarray(stored)
    colours = interpretation if interpretation in _COLOURS else "a colour space that is not known"
    raise DataError(f"{path}: {colours}, {8 * stored.itemsize} bits, is not read; export it as 8-bit RGB or monochrome")


def _times(dataset: Any, frames: int) -> tuple[tuple[int, ...], float, tuple[str, ...]]:
    """Due times, rate and notes: FrameTimeVector, FrameTime, CineRate, RecommendedDisplayFrameRate, else a guess."""
    steps_ms = [float(step) for step in np.ravel(dataset.get("FrameTimeVector") or [])]
    if frames > 1 and len(steps_ms) == frames and all(step > 0 and math.isfinite(step) for step in steps_ms[1:]):
        times_ns = tuple(accumulate((round(step * NS_PER_MS) for step in steps_ms[1:]), initial=0))
        return times_ns, 1e9 * (frames - 1) / times_ns[-1], ()
    frame_time_ms = float(dataset.get("FrameTime") or 0)
    candidates = (
        1000 / frame_time_ms if frame_time_ms > 0 else 0.0,
        float(dataset.get("CineRate") or 0),
        float(dataset.get("RecommendedDisplayFrameRate") or 0),
    )
    for rate_hz in candidates:
        if RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
            return steady_times_ns(frames, rate_hz), rate_hz, ()
    notes = (f"no frame rate in the header; {DEFAULT_RATE_HZ:g} Hz is assumed",) if frames > 1 else ()
    return steady_times_ns(frames, DEFAULT_RATE_HZ), DEFAULT_RATE_HZ, notes


def _tissue(dataset: Any) -> tuple[tuple[Region, ...] | None, float | None, tuple[str, ...]]:
    """The 2D tissue regions (PS3.3 C.8.5.5), the scale of the largest, and notes."""
    found: list[tuple[Region, Any]] = []
    for item in dataset.get("SequenceOfUltrasoundRegions") or ():
        if item.get("RegionSpatialFormat") == 1 and item.get("RegionDataType") == 1:
            corners = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
            x0, y0, x1, y1 = (int(item[name].value) for name in corners)
            found.append((Region(x0, y0, x1 + 1, y1 + 1), item))
    if not found:
        return () if dataset.get("SequenceOfUltrasoundRegions") else None, None, ()
    found.sort(key=lambda each: -each[0].width * each[0].height)
    region, item = found[0]
    clipped = region.clipped(dataset.Columns, dataset.Rows)  # some scanners count the last column as Columns
    if region.x1 - clipped.x1 > 1 or region.y1 - clipped.y1 > 1 or min(clipped.width, clipped.height) < 2:
        # A picture that was resized keeps its old header: neither place nor scale can be believed.
        return None, None, ("its ultrasound region does not fit the picture and is ignored, with its scale",)
    tissue = tuple(each.clipped(dataset.Columns, dataset.Rows) for each, _ in found)
    centimetres = item.get("PhysicalUnitsXDirection") == item.get("PhysicalUnitsYDirection") == 3
    across, down = (abs(float(item.get(name) or 0)) * 10 for name in ("PhysicalDeltaX", "PhysicalDeltaY"))
    if not centimetres or not 0 < across < 10 or abs(across - down) > 0.01 * across:
        return tissue, None, ("its pixels have no one size in mm; the scale is unknown",)
    return tissue, across, ()


def _told(dataset: Any) -> tuple[str, str, str | None]:
    """Modality, burnt-in text, patient."""
    names = ("Modality", "BurnedInAnnotation", "PatientID", "IssuerOfPatientID")
    modality, burnt_in, patient, issuer = (str(dataset.get(name) or "").strip(" \0\t\r\n") for name in names)
    identity = f"{patient}\0{issuer}".rstrip("\0").casefold() if patient else None
    return modality, burnt_in if burnt_in in ("YES", "NO") else "unknown", identity


def _undecodable(path: Path, syntax: UID) -> BackendMissingError:
    return BackendMissingError(f"{path}: {syntax.name} needs a decoder that is not installed; pip install python-gdcm")


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path}: damaged or truncated DICOM ({what}); export or copy it again")
