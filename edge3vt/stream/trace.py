"""A trace of every frame that Perfetto opens: Chrome's trace-event JSON, streamed, bounded, whole lines.

Format: "Trace Event Format" (Google, 2016): an array of events whose closing bracket may be absent; X a span of
``dur`` on a track, b and e the two ends of a span that may overlap others of its kind, M a name. Times are in us.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from pathlib import Path
from typing import Any, Protocol

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import DataError
from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.rows import mend, numbered

TRACKS = ("source", "prepare, infer, mask", "compose", "sinks")
MAX_BYTES = 32 << 20
PENDING = 20_000
FLUSH_NS = NS_PER_S // 2
_SOURCE, _ENGINE, _COMPOSE, _SINKS = range(1, len(TRACKS) + 1)
_END = b'{"name": "process_sort_index", "ph": "M", "pid": 0, "tid": 0, "args": {"sort_index": 0}}]\n'
_Span = tuple[str, int, int, int, int]  # name, track, begin and duration in ns, frame


class Worked(Protocol):
    """What the trace reads of a lane's result: when it was done, and what its steps took."""

    @property
    def index(self) -> int: ...
    @property
    def done_ns(self) -> int: ...
    @property
    def prepare_ns(self) -> int: ...
    @property
    def infer_ns(self) -> int: ...
    @property
    def mask_ns(self) -> int: ...


class Trace:
    """Spans of the live loop into ``path``; the loop only appends to a bounded queue, a thread writes.

    Two files hold at most ``max_bytes`` together: the newest, and before it ``path`` with .1; the older events go. What
    the queue could not take is counted in ``dropped``, what a full disk could not in ``lost``. A file that a kill left
    opens in Perfetto as it is; a torn last line is cut off at the next start, which begins a new file. close it to
    have the bracket too. Raises DataError where the file cannot be written.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path, self._max_bytes = path, max_bytes // 2
        self._spans: deque[_Span] = deque()
        self._async: deque[tuple[str, int, int, int]] = deque()  # name, begin and end in ns, frame
        self.dropped = self.lost = 0
        self._pid = os.getpid()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                repair(path)
                path.replace(numbered(path, 1))
            self._handle = self._begin()
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror or error}); choose another output") from error
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="trace", daemon=True)
        self._thread.start()

    def emitted(self, seg: Segmentation) -> None:
        """A frame left: from its capture to the loop, its composing, and its whole way."""
        timing, captured_ns, index = seg.timing, seg.frame.captured_ns, seg.frame.index
        out_ns = captured_ns + timing.total_ns
        self._span("compose", _COMPOSE, out_ns - timing.compose_ns, timing.compose_ns, index)
        if len(self._async) < PENDING:
            self._async.append(("capture", captured_ns, captured_ns + timing.age_ns, index))
            self._async.append((f"frame {seg.verdict.value}", captured_ns, out_ns, index))
        else:
            self.dropped += 2

    def result(self, result: Worked) -> None:
        """The engine is done with a frame."""
        end_ns = result.done_ns
        for name, taken_ns in (("mask", result.mask_ns), ("infer", result.infer_ns), ("prepare", result.prepare_ns)):
            self._span(name, _ENGINE, end_ns - taken_ns, taken_ns, result.index)
            end_ns -= taken_ns

    def sink(self, index: int, begin_ns: int, end_ns: int) -> None:
        """A frame was handed to the sinks."""
        self._span("sink", _SINKS, begin_ns, end_ns - begin_ns, index)

    def close(self) -> None:
        """Write what waits, and the closing bracket."""
        self._closing.set()
        self._thread.join(timeout=2.0)
        if not self._thread.is_alive():
            self._put(_END)
            os.close(self._handle)

    def _span(self, name: str, track: int, begin_ns: int, taken_ns: int, index: int) -> None:
        if len(self._spans) >= PENDING:
            self.dropped += 1
            return
        self._spans.append((name, track, begin_ns, taken_ns, index))

    def _work(self) -> None:
        while not self._closing.wait(FLUSH_NS / NS_PER_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        events = list[dict[str, Any]]()
        for _ in range(len(self._spans)):
            name, track, begin_ns, taken_ns, index = self._spans.popleft()
            events.append(
                self._event(name, "X", track, begin_ns) | {"dur": max(taken_ns, 0) / 1000, "args": {"frame": index}}
            )
        for _ in range(len(self._async)):
            name, begin_ns, end_ns, index = self._async.popleft()
            place = {"id": index, "args": {"frame": index}}
            events.append(self._event(name, "b", _SOURCE, begin_ns) | place)
            events.append(self._event(name, "e", _SOURCE, max(end_ns, begin_ns)) | place)
        chunk = b""
        for event in events:
            line = json.dumps(event).encode() + b",\n"
            if len(chunk) + len(line) > self._max_bytes // 4:
                self._put(chunk)
                chunk = b""
            chunk += line
        if chunk:
            self._put(chunk)

    def _event(self, name: str, phase: str, track: int, at_ns: int) -> dict[str, Any]:
        return {"name": name, "cat": "edge3vt", "ph": phase, "ts": at_ns / 1000, "pid": self._pid, "tid": track}

    def _put(self, lines: bytes) -> None:
        try:
            if self._size + len(lines) > self._max_bytes:
                os.write(self._handle, _END)
                os.close(self._handle)
                self._path.replace(numbered(self._path, 1))
                self._handle = self._begin()
            written = os.write(self._handle, lines)
            if written < len(lines):
                os.ftruncate(self._handle, self._size)
                self.lost += lines.count(b"\n")
                return
            self._size += written
        except OSError:
            self.lost += lines.count(b"\n")

    def _begin(self) -> int:
        """A new file with its names."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        names: list[tuple[str, int, str]] = [("process_name", 0, "edge3vt")]
        names += [("thread_name", tid, name) for tid, name in enumerate(TRACKS, 1)]
        rows = [self._event(what, "M", tid, 0) | {"args": {"name": name}} for what, tid, name in names]
        self._size = os.write(handle, b"[\n" + b"".join(json.dumps(row).encode() + b",\n" for row in rows))
        return handle


def repair(path: Path) -> None:
    """Make a trace that a kill left strictly valid JSON: its torn last line goes, the bracket comes."""
    handle = os.open(path, os.O_RDWR)
    try:
        size = mend(handle)
        if os.pread(handle, 2, max(size - 2, 0)) != b"]\n":
            os.pwrite(handle, _END if size > 2 else b"[\n" + _END, 0 if size <= 2 else size)
    finally:
        os.close(handle)
