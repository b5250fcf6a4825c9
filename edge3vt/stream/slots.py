"""Slots of shared memory from one writer to one reader, each under a sequence lock; newest wins.

The memory has no name (memfd): it goes with the last process that holds it, whatever kills that. Nothing to unlink.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import context, reduction
from typing import Any

import numpy as np

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels

HEAD_BYTES = 4000
"""What a head may hold: a frame's properties take 80 bytes, an engine's longest error line some hundreds."""

_PAGE = 4096
_FIELDS = struct.Struct("=QIII")  # bytes of the body, bytes of the head, CRC of the body or 0, CRC of all of it
_SIZE_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL  # or a cut file would be a SIGBUS here
_CLOCK = SystemClock()
_TRIES = 8


class Slots:
    """Records of a head (bytes) and a body (uint8 array), put by one process or thread and taken by another.

    Given as an argument to a spawned process it arrives there attached to the same memory. corrupt: records that were
    whole by their sequence but not by their checksum; they count as lost too. check_bodies: bodies carry a checksum
    as well (0.8 ms a side at 1024x768 RGB: for drills).
    """

    def __init__(self, memory: int, wake: int, slots: int, body_bytes: int, check_bodies: bool) -> None:
        self._files = memory, wake
        self._slots, self._body_bytes, self._check_bodies = slots, body_bytes, check_bodies
        self._stride = _PAGE + -(-body_bytes // _PAGE) * _PAGE
        self._map = mmap.mmap(memory, _PAGE + slots * self._stride)
        self._bytes = memoryview(self._map)
        self._words = self._bytes.cast("Q")  # 0: how many were put; 1: the pulse; first of a slot: its sequence
        self._next = 0
        self.corrupt = 0

    @classmethod
    def create(cls, slots: int, body_bytes: int, *, check_bodies: bool = False) -> Slots:
        """New slots for bodies of at most body_bytes."""
        memory = os.memfd_create("edge3vt", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(memory, _PAGE + slots * (_PAGE + -(-body_bytes // _PAGE) * _PAGE))
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SIZE_SEALS)
        return cls(memory, os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK), slots, body_bytes, check_bodies)

    def put(self, head: bytes, body: Pixels) -> None:
        """Write a record over the oldest one and wake the reader. Raises DataError for one that does not fit."""
        if len(head) > HEAD_BYTES or body.nbytes > self._body_bytes:
            raise DataError(
                f"shared memory: a record of {len(head)} + {body.nbytes} bytes, its slots hold {HEAD_BYTES} + "
                f"{self._body_bytes}; create them for the largest picture"
            )
        number = self._words[0]
        at = self._at(number)
        self._words[at // 8] = 2 * number + 1
        fence()
        np.copyto(self._body(at, body.nbytes).reshape(body.shape), body)
        body_crc = zlib.crc32(np.ascontiguousarray(body).data) if self._check_bodies else 0
        fields = body.nbytes, len(head), body_crc
        _FIELDS.pack_into(self._bytes, at + 8, *fields, _checksum(number, fields, head))
        self._bytes[at + 8 + _FIELDS.size :][: len(head)] = head
        fence()
        self._words[at // 8] = 2 * number + 2
        fence()
        self._words[0] = number + 1
        os.eventfd_write(self._files[1], 1)

    def take(self, newest: int | None = None) -> tuple[list[tuple[bytes, Pixels]], int]:
        """Copies of what came since the last call, oldest first, and how many were lost; waits for nothing.

        newest: no more than that many of the last ones; what is passed over counts as lost.
        """
        records: list[tuple[bytes, Pixels]] = []
        lost = 0
        for _ in range(_TRIES):
            with suppress(BlockingIOError):
                os.eventfd_read(self._files[1])
            written = self._words[0]
            fence()
            kept = self._slots if newest is None else min(newest, self._slots)
            first = max(self._next, written - kept)
            records = [record for number in range(first, written) if (record := self._copy(number)) is not None]
            lost += written - self._next - len(records)
            self._next = written
            if records or self._words[0] == written:
                break  # else all were torn, for the writer came round: there is something newer
        return records, lost

    @property
    def written(self) -> int:
        """How many records were put since the slots were made."""
        return self._words[0]

    @property
    def pulse_ns(self) -> int:
        """When the writer last said that it lives, on the monotonic clock; 0 before the first time."""
        return self._words[1]

    def beat(self) -> None:
        """The writer lives."""
        self._words[1] = _CLOCK.now_ns()

    def wait(self, deadline_ns: int | None) -> bool:
        """Block until something was put since the last ``take`` (True) or the deadline passes (False)."""
        timeout_s = None if deadline_ns is None else max(deadline_ns - _CLOCK.now_ns(), 0) / NS_PER_S
        return bool(select.select([self], [], [], timeout_s)[0])

    def fileno(self) -> int:
        """Readable while there is something to take: to wait for this and other things at once."""
        return self._files[1]

    def close(self) -> None:
        """Let go of the memory in this process; a second call does nothing."""
        if not self._map.closed:
            self._words.release()
            self._bytes.release()
            self._map.close()
            for file in self._files:
                os.close(file)

    def __reduce__(self) -> tuple[Callable[..., Slots], tuple[Any, ...]]:
        context.assert_spawning(self)
        files = [reduction.DupFd(file) for file in self._files]
        return _attached, (*files, self._slots, self._body_bytes, self._check_bodies)

    def _copy(self, number: int) -> tuple[bytes, Pixels] | None:
        """The record with that number, or None: it is being written over, or damaged."""
        at = self._at(number)
        if not self._stands(number):
            return None
        fence()
        *fields, crc = _FIELDS.unpack_from(self._bytes, at + 8)
        body_bytes, head_bytes, body_crc = fields
        sound = body_bytes <= self._body_bytes and head_bytes <= HEAD_BYTES
        head = bytes(self._bytes[at + 8 + _FIELDS.size :][:head_bytes]) if sound else b""
        body = self._body(at, body_bytes if sound else 0).copy()
        fence()
        if not self._stands(number):
            return None
        sound = sound and crc == _checksum(number, (body_bytes, head_bytes, body_crc), head)
        if not sound or (self._check_bodies and zlib.crc32(body.data) != body_crc):
            self.corrupt += 1
            return None
        return head, body

    def _stands(self, number: int) -> bool:
        return self._words[self._at(number) // 8] == 2 * number + 2

    def _at(self, number: int) -> int:
        return _PAGE + number % self._slots * self._stride

    def _body(self, at: int, count: int) -> Pixels:
        return np.frombuffer(self._bytes, np.uint8, count, at + _PAGE)


def fence() -> None:
    """Order memory across it: a release and then an acquire are a full barrier on ARMv8; x86 needs less."""
    lock = threading.Lock()
    lock.acquire()
    lock.release()
    lock.acquire()


def _checksum(number: int, fields: tuple[int, ...], head: bytes) -> int:
    return zlib.crc32(head, zlib.crc32(repr((number, fields)).encode()))


def _attached(memory: Any, wake: Any, slots: int, body_bytes: int, check_bodies: bool) -> Slots:
    files = memory.detach(), wake.detach()
    for file in files:
        os.set_inheritable(file, False)
    return Slots(*files, slots, body_bytes, check_bodies)
