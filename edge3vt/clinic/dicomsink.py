"""Masks of a run into a DICOM SEG for its DICOM source."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from edge3vt.clinic.derived import Maker
from edge3vt.clinic.dicomseg import require, write
from edge3vt.clinic.source import source_head
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Crop
from edge3vt.core.segmentation import Mask, Segmentation
from edge3vt.picture.mask import place
from edge3vt.stream.sinks import Sink


class DicomSegSink(Sink):
    """One object with the masks that were shown, each on the frame that it was computed from; none for the others.

    A mask is kept on its crop's grid, compressed, and brought to the source's pixels at the end. maker: asked once,
    when the engine is open. written: frames with a mask. Raises ConfigError for an existing file without ``overwrite``,
    DataError for a source that nothing can refer to, BackendMissingError without highdicom.
    """

    def __init__(self, path: Path, source: Path, maker: Callable[[], Maker], *, overwrite: bool) -> None:
        require()
        if path.exists() and source.exists() and path.samefile(source):
            raise ConfigError(f"{path}: is the source itself; choose another name")
        if path.exists() and not overwrite:
            raise ConfigError(f"{path}: exists already; choose another name, or replace it with --overwrite")
        head = source_head(source)
        self._path, self._source, self._ask = path, source, maker
        self._shape = int(head.Rows), int(head.Columns)
        self._maker: Maker | None = None
        self._kept: dict[int, tuple[Crop, tuple[int, int], bytes]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror or error}); choose another output") from error

    @property
    def written(self) -> int:
        return len(self._kept)

    @property
    def dropped(self) -> int:
        return 0

    def __call__(self, seg: Segmentation) -> None:
        if self._maker is None:
            self._maker = self._ask()
        if seg.shown and seg.mask is not None and seg.crop is not None and seg.mask_age_ns == 0:
            height, width = seg.mask.shape
            self._kept[seg.frame.index] = seg.crop, (height, width), zlib.compress(seg.mask.tobytes(), 1)

    def close(self) -> None:
        if self._maker is None or self.spec is None:
            return  # nothing came
        write(self._path, self._source, self.spec.classes, self._masks(), self._maker)

    def discard(self) -> None:
        self._kept.clear()

    def _masks(self) -> Iterator[tuple[int, Mask]]:
        for index, (crop, shape, packed) in sorted(self._kept.items()):
            mask = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape)
            yield index, place(mask, crop, self._shape)
