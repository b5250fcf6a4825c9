"""The attribution: what the machine did is told apart, and what we did ourselves is never excused by it."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.bench.stalls import LIMIT_MS, Flight, Oversleep, attribute, stalled_share, stalls_of

MS = 1_000_000
BUDGET_NS = 16 * MS


def flight(captured_ms: float, left_ms: float, *, lost: bool = False) -> Flight:
    return Flight(0, round(captured_ms * MS), round(left_ms * MS), lost)


def asleep(due_ms: float, woke_ms: float, core: int = 0) -> Oversleep:
    return Oversleep(core, round(due_ms * MS), round(woke_ms * MS))


def excused(one: Flight, *stalls: Oversleep) -> bool:
    (miss,) = attribute([one], stalls, BUDGET_NS, 0)
    return miss.machine


def test_a_stall_of_the_loop_alone_is_ours() -> None:
    assert not excused(flight(100, 150))
    assert not excused(flight(100, 150), asleep(20, 60), asleep(151, 190)), "before and after it"


def test_a_stall_that_a_probe_saw_too_is_the_machines() -> None:
    assert excused(flight(100, 150), asleep(102, 148))
    assert excused(flight(100, 150), asleep(90, 160)), "the frame was due in the middle of it"
    assert excused(flight(100, 150), asleep(102, 148, core=1)), "whichever core it was"


def test_a_stall_too_short_to_have_made_it_late_excuses_nothing() -> None:
    assert not excused(flight(100, 150), asleep(102, 120)), "32 ms would be left"
    assert excused(flight(100, 150), asleep(102, 136))
    assert not excused(flight(100, 150), asleep(102, 135.9))


def test_short_stalls_are_not_added_up() -> None:
    assert not excused(flight(100, 150), asleep(102, 119), asleep(120, 137, core=1))


def test_a_lost_frame_needs_a_stall_as_long_as_the_wait_that_lost_it() -> None:
    assert excused(flight(100, 167, lost=True), asleep(101, 165))
    assert not excused(flight(100, 167, lost=True), asleep(101, 120))
    (miss,) = attribute([flight(100, 167, lost=True)], [asleep(101, 165)], BUDGET_NS, 50 * MS)
    assert (miss.total_ms, miss.at_ms, miss.stalled_ms) == (None, 50, 64)


def test_among_many_stalls_the_right_one_is_found() -> None:
    rng = np.random.default_rng(1)
    ends = np.cumsum(rng.uniform(20, 400, 400))
    stalls = [asleep(end - rng.uniform(8, 15), end, int(rng.integers(2))) for end in ends]
    flights = [flight(at, at + rng.uniform(17, 60)) for at in rng.uniform(0, ends[-1], 500)]
    found = attribute(flights, rng.permutation(np.array(stalls, object)).tolist(), BUDGET_NS, 0)
    for one, miss in zip(flights, found, strict=True):
        slow = max(max(min(one.left_ns, s.woke_ns) - max(one.captured_ns, s.due_ns), 0) for s in stalls)
        assert miss.stalled_ms == pytest.approx(slow / MS)


def test_the_share_counts_overlapping_stalls_once_and_only_within_the_run() -> None:
    stalls = [asleep(0, 10), asleep(5, 20, core=1), asleep(50, 60), asleep(95, 300)]
    assert stalled_share(stalls, 10 * MS, 110 * MS) == pytest.approx(0.35)
    assert stalled_share([], 0, 0) == 0


def test_only_oversleeps_of_the_limit_count_and_only_while_frames_were_measured() -> None:
    due = np.arange(0, 1000, 2) * MS
    woke = due + MS // 10
    woke[100] += round((LIMIT_MS - 1) * MS)
    woke[200] = due[200] + round(LIMIT_MS * MS)
    woke[400] += 90 * MS
    missed = [flight(200, 207.5), flight(400, 410), flight(800, 890)]
    found = stalls_of(missed, {0: (due, woke)}, [(100 * MS, 600 * MS)], 2 * MS, 2.0)
    assert found.stalls == 1
    assert [miss.machine for miss in found.events] == [False, True, False]
    assert (found.machine, found.own) == (1, 2)
    assert found.stalled_share == pytest.approx(8 / 500)
    assert 250 <= found.late_ms.samples <= 254


def test_without_probes_all_misses_are_ours() -> None:
    found = stalls_of([flight(100, 150)], {}, [(0, 200 * MS)], BUDGET_NS, 2.0)
    assert (found.probes, found.machine, found.own) == ((), 0, 1)
