"""Broken and hostile inputs of a run end in something sound or in one line; and the check sees what does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3vt.core.clock import SystemClock
from edge3vt.core.errors import DataError, Edge3vtError
from edge3vt.stream.slots import Slots
from edge3vt.stream.sources import raw, replay
from tests.stream import mutate
from tests.stream.mutate import NAMES, OfFiles, Tally, broken, run

COUNT = int(os.environ.get("EDGE3VT_MUTANTS", "300"))
ALWAYS_ACCEPTED = ("salvage", "rows", "trace", "memory", "queue")  # they mend what is there, and say nothing of it


@pytest.mark.parametrize("name", NAMES)
def test_hostile_inputs_end_in_something_sound_or_in_one_line(name: str) -> None:
    if name == "igtl":
        pytest.importorskip("pyigtl", reason="pyigtl is not installed")
    if name == "seg":
        pytest.importorskip("highdicom", reason="highdicom is not installed")
    tally = run(name, COUNT, timeout_s=20.0)
    print(f"{name}: {tally}")  # seen with pytest -rP
    assert not tally.faults
    assert tally.outcomes.total() == COUNT
    assert tally.outcomes["accepted"] >= 0.03 * COUNT  # not everything is refused
    if name not in ALWAYS_ACCEPTED:
        assert tally.outcomes["refused"] >= 0.05 * COUNT  # nor taken
    assert tally.grown_mib < 400


@pytest.mark.parametrize("name", ["profile", "side", "plus"])
def test_what_is_whole_is_taken(name: str) -> None:
    """Else the mutants would be refused for another reason."""
    assert run(name, 1).outcomes == {"accepted": 1}


# --- Planted faults


def slow(path: Path) -> None:
    clock = SystemClock()
    until_ns = clock.now_ns() + 10**10
    while clock.now_ns() < until_ns:
        pass


def slip(path: Path) -> None:
    raise KeyError("labels")


def gossip(path: Path) -> None:
    error = DataError("x")
    error.args = ("two\nlines",)
    raise error


def novel(path: Path) -> None:
    error = Edge3vtError("x")
    error.args = ("x" * 5000,)
    raise error


def noisy(path: Path) -> None:
    np.float32(1e30) * np.float32(1e30)


def wrong(path: Path) -> str:
    return "a mask of another size"


@pytest.mark.parametrize(
    ("read", "outcome", "fault"),
    [
        (slow, "late", "late"),
        (slip, "failed", "KeyError"),
        (gossip, "refused", "says 9 characters, 2 lines"),
        (novel, "refused", "says 5000 characters"),
        (noisy, "failed", "RuntimeWarning: overflow"),
        (wrong, "unsound", "a mask of another size"),
    ],
)
def test_a_planted_fault_of_a_reader_is_seen(read: Callable[[Path], str | None], outcome: str, fault: str) -> None:
    tally = run(OfFiles("a.toml", (b"a = 1\n",), read), 1, timeout_s=0.2)
    assert tally.outcomes == {outcome: 1}
    assert fault in tally.faults[0]


def test_a_layout_that_takes_any_sides_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "odd_sides", lambda *_: "")
    assert any("ValueError" in fault for fault in run("pictures", 100).faults)


def test_a_region_that_nobody_clips_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutate.Frame, "bounds", property(lambda frame: frame.region or raw.Region(0, 0, 9, 9)))
    assert run("pictures", 200).faults


def test_memory_whose_checksums_nobody_looks_at_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(slots: Slots, number: int) -> Any:
        fields = np.frombuffer(slots._bytes, np.uint32, 4, slots._at(number) + 8)
        head = bytes(slots._bytes[slots._at(number) + 28 :][: min(int(fields[2]), 100)])
        return head, slots._body(slots._at(number), 10).copy()

    monkeypatch.setattr(Slots, "_copy", blind)
    assert any("a record that was never put" in fault for fault in run("memory", 50).faults)


def test_lines_that_nobody_counts_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutate, "read_side", lambda path, pictures: replay.read_side(path, 1))
    assert any("1 lines" in fault for fault in run("side", 5).faults)


def test_a_recording_that_is_left_partial_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutate, "salvage", lambda partial, path: None)
    assert run("salvage", 5).faults


def test_mutants_are_the_same_for_a_seed_and_are_of_many_kinds() -> None:
    seed = mutate.CLASSES.encode()
    once, again, other = ([broken(seed, np.random.default_rng(n)) for n in range(s, s + 99)] for s in (0, 0, 999))
    assert once == again != other
    assert len({kind for kind, _ in once}) >= 12
    assert np.mean([data == seed for _, data in once]) < 0.2


def test_a_tally_says_it_in_one_line() -> None:
    assert str(Tally()).count("\n") == 0
