"""A DICOM clip as a source."""

from __future__ import annotations

from pathlib import Path

from edge3vt.core.clock import Clock
from edge3vt.picture.dicom import open_dicom
from edge3vt.stream.sources.pace import Replay


class DicomSource(Replay):
    """The pictures of a DICOM file at the file's own rate. Raises what ``open_dicom`` raises."""

    def __init__(self, path: Path, clock: Clock, *, paced: bool) -> None:
        super().__init__(open_dicom(path), clock, paced=paced)
