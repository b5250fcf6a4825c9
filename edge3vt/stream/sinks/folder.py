"""Frames into a folder of PNG files, blanked outside the ultrasound region."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from glob import escape
from pathlib import Path

from edge3vt.core.documents import gone
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.segmentation import Segmentation
from edge3vt.picture.blank import blanked
from edge3vt.picture.draw import Composer
from edge3vt.picture.images import encoded_png
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sinks.mailbox import Mailbox

DEPTH = 16
_OURS = re.compile(r"[0-9]{6,}\.png")


class FolderSink(Sink):
    """One PNG a frame, named by the frame's index, written in a thread; the folder is filled when all are there.

    block: wait for the disk instead of dropping. overwrite: numbered pictures of an earlier run are replaced, all
    else stays. Raises ConfigError for a folder that holds something without ``overwrite``, DataError for one that
    cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool, block: bool = False) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            if path.exists() and not path.is_dir():
                raise DataError(f"{path}: is a file, expected a folder; choose another name")
            if path.is_dir() and any(path.iterdir()) and not overwrite:
                raise ConfigError(f"{path}: exists already; choose another name, or replace it with --overwrite")
            self._partial.mkdir(parents=True)
            self._sweep()
        except OSError as error:
            raise self._failed(error) from error
        self._compose: Composer | None = None
        self._mailbox: Mailbox[Segmentation] = Mailbox(self._write, depth=DEPTH, block=block)

    @property
    def written(self) -> int:
        return self._mailbox.written

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped

    def __call__(self, seg: Segmentation) -> None:
        if seg.picture is not None:
            self._mailbox.put(seg)

    def close(self) -> None:
        error = self._mailbox.close()
        try:
            if error is not None:
                raise self._failed(error) from error
            if not self._path.exists() or not any(self._path.iterdir()):
                self._partial.rename(self._path)
                return
            for old in self._path.iterdir():
                if _OURS.fullmatch(old.name):
                    old.unlink()
            for new in self._partial.iterdir():
                new.rename(self._path / new.name)
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def discard(self) -> None:
        self._mailbox.close(drain=False)
        shutil.rmtree(self._partial, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what killed processes had begun of this folder."""
        for left in self._path.parent.glob(f".{escape(self._path.name)}.*.part"):
            pid = left.name.removesuffix(".part").rpartition(".")[2]
            if pid.isdecimal() and gone(int(pid)):
                shutil.rmtree(left, ignore_errors=True)

    def _write(self, seg: Segmentation) -> None:
        picture, frame = seg.picture, blanked(seg.frame)
        if frame is not seg.frame:  # what was composed shows the whole screen
            self._compose = self._compose or Composer(self.spec)
            picture = self._compose(replace(seg, frame=frame))
        assert picture is not None, "others are not put into the mailbox"
        (self._partial / f"{frame.index:06d}.png").write_bytes(encoded_png(picture))

    def _failed(self, error: Exception) -> DataError:
        why = getattr(error, "strerror", None) or error
        return DataError(f"{self._path}: cannot be written ({why}); free disk space or choose another output")
