"""Frames into an H.264 file that a browser plays."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from edge3vt.core.documents import rename_durably
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.segmentation import Segmentation
from edge3vt.core.spec import ModelSpec
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sinks.encoder import Encoder, EncoderProcess
from edge3vt.stream.sinks.fragments import not_whole, recording_name, salvage, salvage_all, side_of
from edge3vt.stream.sinks.mailbox import Mailbox

DEPTH = 16
CLOSE_S, CLOSE_OFFLINE_S = 2.0, 60.0
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class VideoSink(Sink):
    """An MP4 file and its JSON lines, recorded in a process of its own; they get their names when they are whole.

    Until then it is NAME.PID.recording.mp4, which plays whatever happens. What was recorded before something broke is
    kept as NAME.partial-N.mp4, at the latest when the next recording of that name begins; nothing is ever deleted.
    block: wait for the encoder instead of dropping. Raises ConfigError for an existing file without ``overwrite``,
    DataError for one that cannot be written. A stream without pictures leaves no file.
    """

    def __init__(
        self, path: Path, *, overwrite: bool, block: bool = False, encoder: Callable[[Path], Encoder] = EncoderProcess
    ) -> None:
        for there in (path, side_of(path)):
            if there.exists() and not overwrite:
                raise ConfigError(f"{there}: exists already; choose another name, or replace it with --overwrite")
        self._path, self._partial = path, recording_name(path)
        self._close_s = CLOSE_OFFLINE_S if block else CLOSE_S
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.salvaged = salvage_all(path)
            self._encoder = encoder(self._partial)
        except OSError as error:
            with suppress(OSError):
                salvage(self._partial, path)
            why = error.strerror or error
            raise DataError(f"{path}: cannot be written ({why}); choose another output") from error
        self._mailbox: Mailbox[tuple[Segmentation, ModelSpec | None]] = Mailbox(
            lambda item: self._encoder(*item), depth=DEPTH, block=block, finish=self._encoder.finish
        )

    @property
    def written(self) -> int:
        return self._mailbox.written

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped

    @property
    def notice(self) -> str:
        error = self._mailbox.error
        if error is None:
            return ""
        return f"REC STOPPED: {'DISK' if getattr(error, 'errno', None) in NO_ROOM else 'ERROR'}"

    def __call__(self, seg: Segmentation) -> None:
        self._mailbox.put((replace(seg, picture=None), self.spec))

    def close(self) -> None:
        error = self._ended(drain=True)
        if error is None and self.written:
            try:
                rename_durably(self._partial, self._path)
                side_of(self._partial).replace(side_of(self._path))
            except OSError as failure:
                why = failure.strerror or failure
                raise DataError(f"{self._path}: cannot be written ({why}); choose another output") from failure
            return
        kept = salvage(self._partial, self._path)
        if error is not None:
            why = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise not_whole(self._path, self.written, why, kept) from error

    def discard(self) -> None:
        """What was recorded until the run broke is kept as a partial recording."""
        self._ended(drain=False)
        salvage(self._partial, self._path)

    def _ended(self, *, drain: bool) -> Exception | None:
        error = self._mailbox.close(drain=drain, timeout_s=self._close_s)
        if isinstance(error, TimeoutError):
            self._encoder.kill()
            return self._mailbox.close(drain=False, timeout_s=self._close_s) or error
        return error
