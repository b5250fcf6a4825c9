"""Shared memory under a sequence lock: nothing torn is given out, and what was lost is counted."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_MS, SystemClock
from edge3vt.core.errors import DataError
from edge3vt.stream import slots as module
from edge3vt.stream.slots import Slots

SPAWN = multiprocessing.get_context("spawn")
CLOCK = SystemClock()


def body(value: int, count: int = 1000) -> np.ndarray:
    return np.full(count, value % 256, np.uint8)


def put(slots: Slots, *values: int) -> None:
    for value in values:
        slots.put(b"%d" % value, body(value))


def heads(slots: Slots, newest: int | None = None) -> tuple[list[int], int]:
    records, lost = slots.take(newest)
    return [int(head) for head, _ in records], lost


def test_records_come_in_order_and_what_was_written_over_is_counted() -> None:
    with closing(Slots.create(3, 1000)) as slots:
        assert heads(slots) == ([], 0)
        put(slots, 0, 1)
        assert heads(slots) == ([0, 1], 0)
        put(slots, *range(2, 9))
        records, lost = slots.take()
        assert ([int(head) for head, _ in records], lost) == ([6, 7, 8], 4)
        assert all((pixels == int(head)).all() for head, pixels in records)
        put(slots, 9, 10)
        assert heads(slots, newest=1) == ([10], 1)
        assert heads(slots) == ([], 0)


def test_any_body_fits_up_to_the_agreed_size() -> None:
    with closing(Slots.create(2, 1000)) as slots:
        strided = np.arange(3000, dtype=np.uint32).astype(np.uint8).reshape(50, 60)[::2, ::3]
        slots.put(b"x" * module.HEAD_BYTES, strided)
        slots.put(b"", np.empty((0, 3), np.uint8))
        (first, second), _ = slots.take()
        assert first[0] == b"x" * module.HEAD_BYTES
        np.testing.assert_array_equal(first[1].reshape(strided.shape), strided)
        assert (second[0], second[1].size) == (b"", 0)
        for head, pixels in ((b"", body(0, 1001)), (b"x" * (module.HEAD_BYTES + 1), body(0))):
            with pytest.raises(DataError, match="create them for the largest picture"):
                slots.put(head, pixels)
        assert slots.take() == ([], 0)


def take_while_written_over(monkeypatch: pytest.MonkeyPatch, slots: Slots) -> tuple[list[set[int]], int]:
    """Take 1 and 2 while the writer, come round, is half through writing 3 over 1: the values of each body."""
    put(slots, 1, 2)
    calls = 0

    def fence() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # between the first look at the sequence of 1 and the copying of it
            slots._words[slots._at(2) // 8] = 2 * 2 + 1
            slots._body(slots._at(2), 500)[:] = 3

    monkeypatch.setattr(module, "fence", fence)
    records, lost = slots.take()
    return [set(pixels.tolist()) for _, pixels in records], lost


def test_a_record_that_is_written_over_while_it_is_copied_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Slots.create(2, 1000)) as slots:
        assert take_while_written_over(monkeypatch, slots) == ([{2}], 1)
        assert slots.corrupt == 0


def test_planted_without_the_sequence_a_torn_body_is_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Slots.create(2, 1000)) as slots:
        monkeypatch.setattr(slots, "_stands", lambda number: True)
        assert take_while_written_over(monkeypatch, slots) == ([{1, 3}, {2}], 0)
    with closing(Slots.create(2, 1000, check_bodies=True)) as slots:
        monkeypatch.undo()
        monkeypatch.setattr(slots, "_stands", lambda number: True)
        assert take_while_written_over(monkeypatch, slots) == ([{2}], 1)
        assert slots.corrupt == 1, "the checksum over bodies sees it too"


def test_when_all_was_torn_the_newer_ones_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Slots.create(2, 1000)) as slots:
        put(slots, 1, 2)
        real, calls = module.fence, 0

        def fence() -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                put(slots, 3, 4)
            real()

        monkeypatch.setattr(module, "fence", fence)
        assert heads(slots) == ([3, 4], 2)


BIG = 4_000_000


def write_for_ever(slots: Slots) -> None:
    value = 0
    while True:
        slots.put(b"%d" % value, body(value, BIG))
        value += 1


@pytest.fixture
def racing() -> Iterator[Slots]:
    """Two slots that a process writes as fast as it can: the reader is overtaken all the time."""
    slots = Slots.create(2, BIG)
    writer = SPAWN.Process(target=write_for_ever, args=(slots,), daemon=True)
    writer.start()
    try:
        assert slots.wait(CLOCK.now_ns() + 20_000 * NS_PER_MS)
        yield slots
    finally:
        writer.kill()
        writer.join()
        writer.close()
        slots.close()


def torn_until(slots: Slots, seen: int, torn: int) -> int:
    """How many bodies were no single record, once so many were taken or so many of them were torn."""
    end = CLOCK.now_ns() + 20_000 * NS_PER_MS
    found = taken = 0
    while taken < seen and found < torn and CLOCK.now_ns() < end:
        for head, pixels in slots.take()[0]:
            found += bool((pixels != int(head) % 256).any())
            taken += 1
    assert taken, "nothing came"
    return found


def test_nothing_torn_crosses_between_processes(racing: Slots) -> None:
    assert torn_until(racing, seen=100, torn=1) == 0
    assert racing.corrupt == 0


def test_planted_without_the_sequence_torn_bodies_cross(racing: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "_stands", lambda number: True)
    assert torn_until(racing, seen=10**9, torn=1) >= 1, "one look may hold two"


def test_a_damaged_record_is_lost_and_counted_whatever_was_damaged() -> None:
    dice = random.Random(0)
    with closing(Slots.create(2, 1000, check_bodies=True)) as slots:
        for number in range(300):
            put(slots, number)
            at = slots._at(number) + 8
            end = at + module._FIELDS.size + len(str(number))
            place = dice.choice([dice.randrange(at, end), slots._at(number) + 4096 + dice.randrange(1000)])
            slots._bytes[place] ^= 1 << dice.randrange(8)
            assert slots.take() == ([], 1)
        assert slots.corrupt == 300
        put(slots, 300)
        assert heads(slots) == ([300], 0)


def test_hostile_lengths_are_refused_before_anything_is_read() -> None:
    with closing(Slots.create(2, 1000)) as slots:
        for number, fields in enumerate([(2**63, 0, 0), (0, 2**32 - 1, 0), (1001, 4001, 0)]):
            put(slots, number)
            crc = module._checksum(number, fields, b"")
            module._FIELDS.pack_into(slots._bytes, slots._at(number) + 8, *fields, crc)
            assert slots.take() == ([], 1)
        assert slots.corrupt == 3


def test_the_reader_sleeps_until_something_comes_or_the_deadline() -> None:
    with closing(Slots.create(2, 1000)) as slots:
        begun = CLOCK.now_ns()
        assert not slots.wait(begun + 20 * NS_PER_MS)
        assert 20 * NS_PER_MS <= CLOCK.now_ns() - begun < 2000 * NS_PER_MS
        put(slots, 1)
        assert slots.wait(None)
        assert slots.wait(0), "still there"
        slots.take()
        assert not slots.wait(0)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_closing_leaves_no_file_no_map_and_no_name() -> None:
    named, files = os.listdir("/dev/shm"), open_files()
    for _ in range(50):
        slots = Slots.create(4, 100_000)
        put(slots, 1)
        slots.take()
        slots.close()
        slots.close()
    assert open_files() == files
    assert "memfd:edge3vt" not in Path("/proc/self/maps").read_text()
    assert os.listdir("/dev/shm") == named


def test_the_memory_cannot_be_cut_short_under_a_reader() -> None:
    with closing(Slots.create(2, 1000)) as slots, pytest.raises(PermissionError):
        os.ftruncate(slots._files[0], 10)


def test_slots_travel_only_with_a_process_that_is_being_spawned() -> None:
    with closing(Slots.create(2, 1000)) as slots, pytest.raises(RuntimeError, match="through inheritance"):
        pickle.dumps(slots)
