"""DICOM files of a folder, single and multi-frame, read by ``picture.dicom``.

What a header says of a person, a place or a date stays behind, but for ``Raw.patient_key``. A file's name may hold
it too: messages name the file to whoever runs the import, and belong neither into a data set nor into a log.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame, Region
from edge3vt.data.importers.raw import Raw
from edge3vt.picture.clip import file_size
from edge3vt.picture.dicom import DicomClip, open_dicom

SUFFIXES = (".dcm", ".dicom")
MODALITIES = ("US", "OT", "")  # ultrasound, secondary captures (other), and files that do not say
MAX_FILE_BYTES = 384 << 20  # read whole, in a child whose libraries take 400 of its 1024 MiB; our own choice
MAX_CLIP_BYTES = 256 << 20  # of luma, should a caller hold all of it; our own choice: 340 pictures of 1024x768
DUAL_SHARE = 0.25  # a second region of this share of the largest is a second picture, no inset; our own choice


def find(root: Path) -> list[Path]:
    """The DICOM files at and under ``root``, by name or by their first bytes. Raises DataError where there are none."""
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise DataError(f"{root}: is not there; check the path")
    walked: list[Path] = []
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name[0] != "."]
        walked += [Path(folder, name) for name in names if name[0] != "." and name != "DICOMDIR"]
    found = sorted(path for path in walked if is_dicom(path))
    if not found:
        raise DataError(f"{root}: holds no DICOM files; check the path, or name the format that it holds")
    return found


def read(path: Path) -> Iterator[Raw]:
    """Every picture of one file, one by one. Raises DataError or BackendMissingError; then none of them counts."""
    if file_size(path) > MAX_FILE_BYTES:
        raise DataError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB; cut the clip first")
    clip = open_dicom(path)
    region = _region(clip)
    facts: dict[str, float | str] = {"burnt_in_text": clip.burnt_in.lower()}
    if clip.frames > 1 and clip.rate_told:
        facts["rate_hz"] = clip.rate_hz
    for index, picture in enumerate(clip.pictures()):
        luma = Frame(index, picture.time_ns, picture.pixels, picture.layout).luma
        frame = index if clip.frames > 1 else None
        yield Raw(luma, None, region, clip.mm_per_px, clip.patient, frame, facts)


def _region(clip: DicomClip) -> Region | None:
    """The one region that is a picture of tissue, None where the header tells of none; else DataError."""
    path = clip.path
    if clip.modality not in MODALITIES:
        code = clip.modality if clip.modality.isalpha() and len(clip.modality) <= 8 else "no code"
        raise DataError(f"{path}: its modality is {code}, expected US, OT or none; leave it out")
    if clip.stretched:
        raise DataError(f"{path}: 16 bits without a window, so its grey levels are not known; export it as 8 bits")
    if clip.frames * clip.width * clip.height > MAX_CLIP_BYTES:
        raise DataError(
            f"{path}: {clip.frames} pictures of {clip.width}x{clip.height} px, expected at most "
            f"{MAX_CLIP_BYTES >> 20} million pixels; cut the clip first"
        )
    if clip.tissue is None:
        return None
    if not clip.tissue:
        raise DataError(f"{path}: none of its regions is 2D tissue (a trace, or M-mode); export the 2D picture")
    largest, *others = clip.tissue
    if any(_beside(largest, other) for other in others):
        raise DataError(f"{path}: two 2D pictures on one screen (dual); export each on its own")
    return largest


def _beside(largest: Region, other: Region) -> bool:
    apart = other.clipped(largest.x1, largest.y1)
    overlap = max(apart.x1 - max(other.x0, largest.x0), 0) * max(apart.y1 - max(other.y0, largest.y0), 0)
    area = other.width * other.height
    return area >= DUAL_SHARE * largest.width * largest.height and 2 * overlap < area


def is_dicom(path: Path) -> bool:
    """Whether a file is one by its name or its first bytes."""
    if not path.is_file():  # a pipe, or a link to nothing
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
