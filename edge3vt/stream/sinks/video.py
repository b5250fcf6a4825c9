"""Frames into an H.264 file that a browser plays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edge3vt.core.documents import whole_file
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sinks.encoder import Encoder, EncoderProcess
from edge3vt.stream.sinks.mailbox import Mailbox

DEPTH = 16


class VideoSink(Sink):
    """An MP4 file, encoded in a process of its own; it gets its name when it is whole.

    block: wait for the encoder instead of dropping. Raises ConfigError for an existing file without ``overwrite``,
    DataError for one that cannot be written. A stream without pictures leaves no file.
    """

    def __init__(
        self, path: Path, *, overwrite: bool, block: bool = False, encoder: Callable[[Path], Encoder] = EncoderProcess
    ) -> None:
        if path.exists() and not overwrite:
            raise ConfigError(f"{path}: exists already; choose another name, or replace it with --overwrite")
        self._path = path
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.recording{path.suffix}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._encoder = encoder(self._partial)
        except OSError as error:
            why = error.strerror or error
            raise DataError(f"{path}: cannot be written ({why}); choose another output") from error
        self._mailbox: Mailbox[tuple[Pixels, int]] = Mailbox(
            lambda item: self._encoder(*item), depth=DEPTH, block=block, finish=self._encoder.finish
        )

    @property
    def written(self) -> int:
        return self._mailbox.written

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped

    def __call__(self, seg: Segmentation) -> None:
        if seg.picture is not None:
            self._mailbox.put((seg.picture, seg.frame.captured_ns))

    def close(self) -> None:
        error = self._mailbox.close()
        try:
            if error is not None:
                raise self._failed(error) from error
            if self.written:
                with whole_file(self._path) as whole:
                    self._partial.replace(whole)
        finally:
            self._partial.unlink(missing_ok=True)

    def discard(self) -> None:
        self._mailbox.close(drain=False)
        self._partial.unlink(missing_ok=True)

    def _failed(self, error: Exception) -> DataError:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        return DataError(f"{self._path}: the recording failed ({why}); free disk space or choose another output")
