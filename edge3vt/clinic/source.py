"""The DICOM file that a derived object refers to."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from edge3vt.core.errors import DataError
from edge3vt.picture.clip import file_size


def source_head(path: Path) -> Any:
    """A DICOM file's elements up to its pixels. Raises DataError where nothing can refer to it."""
    import pydicom

    file_size(path)
    try:
        with warnings.catch_warnings():  # what is odd in a source is its own
            warnings.simplefilter("ignore")
            head = pydicom.dcmread(path, stop_before_pixels=True)
            for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
                if not pydicom.uid.UID(str(head.get(name) or "")).is_valid:
                    raise DataError(
                        f"{path}: no valid {name}; a DICOM SEG refers to its source by UID: export it again"
                    )
            int(head.Rows), int(head.Columns), int(head.get("NumberOfFrames") or 1)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # pydicom raises whatever the damage leads to; its text may quote the header
        raise DataError(f"{path}: no DICOM image whose header can be read ({type(error).__name__})") from error
    return head


def frames_of(head: Any) -> int:
    return int(head.get("NumberOfFrames") or 1)
