"""DICOM clips: rate, region and scale from the header, pictures decoded one by one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import DeflatedExplicitVRLittleEndian

from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.errors import BackendMissingError, DataError, Edge3vtError
from edge3vt.core.frame import Layout, Pixels, Region
from edge3vt.picture.clip import DEFAULT_RATE_HZ, Picture, check_size, file_size, steady_times_ns
from edge3vt.picture.colour import ybr_to_rgb

MAX_BYTES = 2 << 30
MAX_FRAMES = 20_000
RATES_HZ = (0.5, 1000.0)
_VIDEO_SYNTAXES = "1.2.840.10008.1.2.4.10"  # MPEG-2, H.264, HEVC: .100 to .108


@dataclass(frozen=True, slots=True, eq=False)
class DicomClip:
    """A DICOM file that was read whole and whose first picture could be decoded.

    times_ns: when each picture is due. region, mm_per_px: of its largest 2D tissue region, None where unknown.
    """

    path: Path
    frames: int
    width: int
    height: int
    times_ns: tuple[int, ...]
    rate_hz: float
    region: Region | None
    mm_per_px: float | None
    notes: tuple[str, ...]
    _dataset: Any = field(repr=False)
    _table: Pixels | None = field(repr=False)  # stored value -> grey, or -> RGB

    @property
    def name(self) -> str:
        return self.path.name

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
            table = _table(dataset, first)
            _shown(first, interpretation, table, path)
            times_ns, rate_hz, notes = _times(dataset, frames)
            region, mm_per_px, more = _region(dataset)
        except (Edge3vtError, MemoryError):
            raise
        except Exception as error:  # pydicom raises whatever the damage leads to
            raise _damaged(path, _one_line(error)) from error
    if table is not None and _needs_stretch(dataset):
        notes += ("no window; grey levels are stretched from the first picture's darkest to its brightest",)
    return DicomClip(
        path, frames, dataset.Columns, dataset.Rows, times_ns, rate_hz, region, mm_per_px, notes + more, dataset, table
    )


def _read(path: Path) -> Any:
    """The dataset, after its transfer syntax was found to be one that holds pictures."""
    try:
        syntax = pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", "")
    except InvalidDicomError as error:
        raise DataError(f"{path}: not a DICOM file; expected DICM at byte 128, as a scanner exports it") from error
    if syntax == DeflatedExplicitVRLittleEndian:
        raise DataError(f"{path}: deflated transfer syntax, which is not read for safety; export it uncompressed")
    if syntax.startswith(_VIDEO_SYNTAXES):
        raise DataError(f"{path}: holds an encapsulated {syntax.name} video; extract it and give the video file")
    return pydicom.dcmread(path)


def _counted_frames(dataset: Any, path: Path) -> int:
    """How many pictures there are, after what the header claims was held against what the file holds."""
    if "PixelData" not in dataset:
        raise DataError(f"{path}: no pixels; it is truncated, or a report or structured document: give an image clip")
    frames = int(dataset.get("NumberOfFrames") or 1)
    check_size(int(dataset.Columns), int(dataset.Rows), str(path))
    if not 1 <= frames <= MAX_FRAMES:
        raise DataError(f"{path}: claims {frames} pictures, expected 1 to {MAX_FRAMES}; cut the clip first")
    if dataset.BitsAllocated not in (8, 16):
        raise DataError(f"{path}: {dataset.BitsAllocated} bits a sample, expected 8 or 16; export it again")
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        held = sum(1 for _ in generate_frames(dataset.PixelData, number_of_frames=frames))
        if held < frames:
            raise _damaged(path, f"{held} of {frames} pictures are there")
    else:
        expected, held = get_expected_length(dataset), len(dataset.PixelData)
        if held < expected:
            raise _damaged(path, f"{held} of {expected} bytes of pixels are there")
    return frames


def _decoded(dataset: Any, path: Path) -> Iterator[tuple[Any, str]]:
    """Each picture as stored, and its photometric interpretation."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise DataError(f"{path}: transfer syntax {syntax.name} is not known; export it uncompressed") from error
    if not decoder.is_available:
        raise BackendMissingError(
            f"{path}: {syntax.name} needs a decoder that is not installed; pip install python-gdcm"
        )
    try:
        for stored, told in decoder.iter_array(dataset, raw=True):
            yield stored, str(told["photometric_interpretation"])
    except Exception as error:  # decoders raise whatever the damage leads to
        raise _damaged(path, _one_line(error)) from error


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
    raise DataError(f"{path}: {interpretation} of {stored.dtype} is not read; export it as 8-bit RGB or monochrome")


def _table(dataset: Any, first: Any) -> Pixels | None:
    """Every stored value's grey (or RGB, for a palette); None where the stored values are grey already."""
    interpretation = dataset.PhotometricInterpretation
    unsigned = np.arange(1 << 8 * first.itemsize).astype(f"u{first.itemsize}")
    if interpretation == "PALETTE COLOR":
        colours = apply_color_lut(unsigned, dataset)
        return np.asarray(colours if colours.dtype == np.uint8 else colours >> 8, dtype=np.uint8)
    if not interpretation.startswith("MONOCHROME"):
        return None
    values = np.asarray(apply_modality_lut(unsigned.view(first.dtype), dataset), dtype=np.float64)
    if dataset.get("VOILUTSequence"):
        brightest = (1 << int(dataset.VOILUTSequence[0].LUTDescriptor[2])) - 1
        grey = apply_voi(values.astype(np.int64), dataset) / brightest
    elif window := _window(dataset):
        grey = _windowed(values, *window, dataset.get("VOILUTFunction", "LINEAR"))
    elif _needs_stretch(dataset):
        seen = values[first.view(unsigned.dtype)]
        grey = (values - seen.min()) / max(float(np.ptp(seen)), 1e-9)
    elif interpretation == "MONOCHROME2":
        return None
    else:
        grey = values / 255
    table = np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8)
    return table if interpretation == "MONOCHROME2" else 255 - table


def _needs_stretch(dataset: Any) -> bool:
    eight_bit = dataset.BitsAllocated == 8 and not dataset.get("PixelRepresentation")
    known = dataset.get("VOILUTSequence") or _window(dataset)
    return dataset.PhotometricInterpretation.startswith("MONOCHROME") and not eight_bit and not known


def _window(dataset: Any) -> tuple[float, float] | None:
    """The first (centre, width)."""
    pair = [dataset.get(name) for name in ("WindowCenter", "WindowWidth")]
    centre, width = (float(np.ravel(v)[0]) if v is not None and np.size(v) else math.nan for v in pair)
    return (centre, width) if math.isfinite(centre) and width >= 1 else None


def _windowed(values: Any, centre: float, width: float, function: str) -> Any:
    """DICOM PS3.3 C.11.2.1: stored values after rescale to 0-1."""
    match function:
        case "SIGMOID":
            return 1 / (1 + np.exp(-4 * (values - centre) / width))
        case "LINEAR_EXACT":
            return (values - centre) / width + 0.5
        case _:
            return (values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5


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


def _region(dataset: Any) -> tuple[Region | None, float | None, tuple[str, ...]]:
    """The largest 2D tissue region (PS3.3 C.8.5.5), its scale, and notes."""
    found: tuple[Region, Any] | None = None
    for item in dataset.get("SequenceOfUltrasoundRegions") or ():
        if item.get("RegionSpatialFormat") != 1 or item.get("RegionDataType") != 1:
            continue
        corners = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
        x0, y0, x1, y1 = (int(item[name].value) for name in corners)
        region = Region(x0, y0, x1 + 1, y1 + 1)
        if found is None or region.width * region.height > found[0].width * found[0].height:
            found = region, item
    if found is None:
        return None, None, ()
    region, item = found
    clipped = region.clipped(dataset.Columns, dataset.Rows)  # some scanners count the last column as Columns
    if region.x1 - clipped.x1 > 1 or region.y1 - clipped.y1 > 1 or min(clipped.width, clipped.height) < 2:
        # A picture that was resized keeps its old header: neither place nor scale can be believed.
        return None, None, ("its ultrasound region does not fit the picture and is ignored, with its scale",)
    centimetres = item.get("PhysicalUnitsXDirection") == item.get("PhysicalUnitsYDirection") == 3
    across, down = (abs(float(item.get(name) or 0)) * 10 for name in ("PhysicalDeltaX", "PhysicalDeltaY"))
    if not centimetres or not 0 < across < 10 or abs(across - down) > 0.01 * across:
        return clipped, None, ("its pixels have no one size in mm; the scale is unknown",)
    return clipped, across, ()


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path}: damaged or truncated DICOM ({what}); export or copy it again")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
