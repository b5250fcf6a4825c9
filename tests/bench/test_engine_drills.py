"""The engine's drills on a loop that works, and on loops and engines in which a fault is planted."""

from __future__ import annotations

import pytest

from edge3vt.bench.engine_drills import crash_loop, garbage, outage, ramp, raw_first, stale
from edge3vt.bench.findings import Finding
from edge3vt.bench.oracle import Sight
from edge3vt.bench.rig import PERIOD_MS, Seen
from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.segmentation import State
from edge3vt.stream import showing
from edge3vt.stream.lane import ThreadLane
from edge3vt.stream.process import ProcessLane
from edge3vt.stream.supervised import SupervisedLane

TIMED = ("delay", "never left", "nobody compared")
"""What a busy machine fails: asked for where times are."""


def named(found: list[Finding], words: str) -> Finding:
    (one,) = [finding for finding in found if words in finding.what]
    return one


def untimed(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.verdict == "FAIL" and not any(words in f.what for words in TIMED)]


def test_a_slow_engine_leaves_the_picture_as_it_is() -> None:
    assert untimed(ramp(ThreadLane, 2.0)) == []


def test_garbage_is_not_drawn_and_is_said() -> None:
    found = garbage(ThreadLane, 1.6, "constant")
    assert untimed(found) == []
    assert named(found, "good masks before").figure >= 10  # type: ignore[operator]


def test_garbage_that_the_loop_believes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "sound", lambda result, classes: result)
    found = garbage(ThreadLane, 1.6, "constant")
    assert named(found, "stale or false masks: drawn garbage").verdict == "FAIL"


def test_an_engine_that_nobody_restarts_is_caught() -> None:
    found = outage(ProcessLane, 1.8, "exit")
    assert named(found, "masks again").verdict == "FAIL"


def test_a_hang_that_nobody_sees_is_caught() -> None:
    """A process without a supervisor: it does not even say that the engine hangs."""
    found = outage(ProcessLane, 1.8, "hang")
    assert named(found, "said on the picture").verdict == "FAIL"
    assert named(found, "masks again").verdict == "FAIL"


def test_a_supervised_engine_that_hangs_is_replaced() -> None:
    found = outage(SupervisedLane, 4.0, "hang")
    assert 100 < (named(found, "said on the picture").figure or 0) < 1000
    assert named(found, "masks again").verdict == "pass"


def test_an_engine_that_does_not_end_at_its_third_run_is_no_crash_loop() -> None:
    found = crash_loop(lambda open_session: ThreadLane(_sound), 1.0)
    assert named(found, "given up").verdict == "FAIL"


def _sound():  # type: ignore[no-untyped-def]
    from edge3vt.bench.engine_drills import scripted

    return scripted()()


def sight(index: int, **changes: object) -> Sight:
    code = round(1000 + index * PERIOD_MS)
    plain = {
        "at_ns": (code + 5) * NS_PER_MS,
        "code": code,
        "drawn": True,
        "origin": code,
        "dashed": False,
        "said": State.LIVE,
        "altered": 0,
    }
    return Sight(**(plain | changes))  # type: ignore[arg-type]


def run(sights: list[Sight], given: int = 100, unseen: int = 0) -> Seen:
    codes = [sight(i).code or 0 for i in range(given)]
    return Seen(tuple(sights), {code: code * NS_PER_MS for code in codes}, unseen, 0, 0)


def test_the_raw_picture_is_held_to_every_number() -> None:
    good = [sight(i) for i in range(100)]
    assert [f.verdict for f in raw_first("x", run(good))] == ["pass"] * 5

    def failed(sights: list[Sight], **changes: int) -> list[str]:
        return [f.what.split(",")[0] for f in raw_first("x", run(sights, **changes)) if f.verdict == "FAIL"]

    assert failed(good[:98]) == ["frames of the source that never left"]
    assert failed([sight(i, at_ns=sight(i + 2).at_ns) for i in range(100)]) == ["delay of the picture"]
    altered, alone = "pictures altered outside overlay and status", "pictures that nobody compared"
    assert failed([*good[:-1], sight(99, altered=1)]) == [altered]
    assert failed([*good[:-1], sight(99, altered=None)]) == [alone], "what nobody compared is not equal"
    assert failed(good, unseen=1) == [alone]
    assert failed([*good[:-1], sight(99, origin=sight(94).code)]) == [
        "stale or false masks: an old mask without its mark"
    ]
    assert failed([]) == ["frames of the source that never left", "delay of the picture", altered]
    again = [*good, sight(99, altered=9000, drawn=False, said=State.NO_SIGNAL)]
    assert failed(again) == [], "a last picture under the banner"


def test_a_slower_source_has_older_masks() -> None:
    late = run([sight(99, origin=sight(94).code)])
    assert stale("x", late).verdict == "FAIL"
    assert stale("x", late, 1000 / 15).verdict == "pass"
