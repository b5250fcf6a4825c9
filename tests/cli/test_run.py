"""What ``run`` wires: the ladder and a smaller engine, places on the CPU, a region that waits for a look."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge3vt.cli.figures import Asked, Figures
from edge3vt.cli.lanes import ENGINE_PRIORITY, LOOP_PRIORITY, places
from edge3vt.cli.main import main
from edge3vt.cli.run import drive
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Frame, Pixels, Region
from edge3vt.core.segmentation import UNCONFIRMED, Segmentation
from edge3vt.core.session import Logits
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.fake import FakeSession
from edge3vt.stream import seeker as seeking
from edge3vt.stream.child import Scheduling
from edge3vt.stream.descent import Descent
from edge3vt.stream.journal import Journal
from edge3vt.stream.ladder import Ladder, LadderRules, Rung
from edge3vt.stream.lane import ThreadLane
from edge3vt.stream.profile import Found, Framing
from edge3vt.stream.seeker import Seeker
from edge3vt.stream.sinks.null import NullSink
from edge3vt.stream.supervised import SupervisedLane
from edge3vt.stream.telemetry import Ledger

CLOCK = SystemClock()
SPEC = ModelSpec(1, "fake", "1", ("background", "bright"), 32, 32, 4, True, True, "")
SMALL = replace(SPEC, version="small", height=16, width=16)
BUDGET_MS = 80.0  # generous: what happens is asked, not how fast this machine is
SLOW_MS = 110.0


class Planted(FakeSession):
    """Slow while a file is there."""

    def __init__(self, spec: ModelSpec, while_there: Path) -> None:
        super().__init__(spec, CLOCK)
        self._file = while_there

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        if self._file.exists():
            CLOCK.sleep_until_ns(CLOCK.now_ns() + round(SLOW_MS * NS_PER_MS))
        super().run(pixels, logits, view)


class Pictures:
    """A source of noise at 25 Hz, for so long; inside: the part that holds it, the rest is black."""

    name, width, height, rate_hz, frames = "noise", 128, 96, 25.0, None
    notes: tuple[str, ...] = ()

    def __init__(self, seconds: float, inside: Region | None = None) -> None:
        self._seconds, self._inside = seconds, inside
        self.ended = False

    def __iter__(self) -> Iterator[Frame]:
        rng, begun, index = np.random.default_rng(1), CLOCK.now_ns(), 0
        while not self.ended and CLOCK.now_ns() - begun < self._seconds * NS_PER_S:
            CLOCK.sleep_until_ns(begun + index * NS_PER_S // 25)
            noise, box = rng.integers(60, 200, (96, 128), np.uint8), self._inside or Region(0, 0, 128, 96)
            pixels = np.zeros_like(noise)
            pixels[box.y0 : box.y1, box.x0 : box.x1] = noise[box.y0 : box.y1, box.x0 : box.x1]
            yield Frame(index, CLOCK.now_ns(), pixels)
            index += 1


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def figures(stack: ExitStack, said: list[str], sinks: list[NullSink], asked: Asked | None = None) -> Figures:
    ledger = Ledger(BUDGET_MS)
    journal = Journal(CLOCK, said.append)
    return Figures(stack, CLOCK, journal, ledger, sinks, asked or Asked(), model="x", restarts=Counter[str])


def test_a_slow_engine_gives_way_to_the_smaller_one_and_comes_back(tmp_path: Path, stack: ExitStack) -> None:
    """Down and up in a live run, with real processes: on the picture, in the log and in the figures."""
    slow, said, rows = tmp_path / "slow", list[str](), tmp_path / "rows.jsonl"
    slow.touch()
    full, small = partial(Planted, SPEC, slow), partial(FakeSession, SMALL, CLOCK)
    sink, source = NullSink(), Pictures(60)
    lane = stack.enter_context(closing(SupervisedLane(full, standby=False)))
    told = figures(stack, said, [sink], Asked(log_lines=rows))
    rules = LadderRules(window_s=0.5, calm_s=1.0)
    ladder = Ladder(round(BUDGET_MS * NS_PER_MS), rules=rules)
    steps = Descent(ladder, lane, {Rung.FULL: full, Rung.SMALLER: small}, told.heat)
    told.follow(steps)
    seen: list[tuple[str, tuple[str, ...]]] = []

    def watch(seg: Segmentation) -> None:
        if not seen or seen[-1] != (seg.model_id, seg.notes):
            seen.append((seg.model_id, seg.notes))
        if seg.model_id == "fake-small" and slow.exists():
            slow.unlink()
        if ("fake-1", ()) in seen[1:] and any(m == "fake-small" for m, _ in seen) and seg.model_id == "fake-1":
            source.ended = steps.rung is Rung.FULL and seg.notes == ()

    drive(
        source,
        lane,
        [sink],
        CLOCK,
        BUDGET_MS,
        (told.delivered, watch),
        results=told.result,
        ladder=steps,
        moved=told.moved,
        tell=told.notices,
    )
    stack.close()
    assert steps.moves["smaller engine"] >= 1
    assert steps.moves["full"] >= 1
    assert ("fake-small", ("SMALLER ENGINE",)) in seen, "its mask, its name and the notice on one picture"
    assert any(line.split()[1:] == ["LADDER", "rung=1"] for line in said)
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    assert {0, 1} <= {line["ladder_rung"] for line in lines}
    assert 0 <= lines[-1]["input_saturated_ratio"] <= 1


def test_planted_a_run_without_a_ladder_stays_late(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.touch()
    models: set[str] = set()
    with closing(ThreadLane(partial(Planted, SPEC, slow))) as lane:
        drive(Pictures(1), lane, [NullSink()], CLOCK, BUDGET_MS, [lambda seg: models.add(seg.model_id)])
    assert models == {"fake-1"}


def test_a_region_that_was_found_is_shown_and_the_overlay_waits_for_a_look(
    stack: ExitStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeking, "APART_NS", 20 * NS_PER_MS)
    box, framing, said = Region(16, 8, 112, 88), Framing(), list[str]()
    sink, source = NullSink(), Pictures(40, box)
    told = figures(stack, said, [sink])
    seeker = Seeker(framing, find=lambda frames: Found(box, 0.8))
    stack.callback(seeker.close)
    waited: list[Segmentation] = []
    after: list[Segmentation] = []

    def watch(seg: Segmentation) -> None:
        if seg.withheld == UNCONFIRMED:
            waited.append(seg)
            sink.confirmed = len(waited) == 10  # the operator has pressed R
        elif waited:
            after.append(seg)
            source.ended = seg.shown or len(after) > 200

    lane = stack.enter_context(closing(ThreadLane(partial(FakeSession, SPEC, CLOCK))))
    watchers = [told.delivered, told.seeking(seeker, framing), watch]
    drive(source, lane, [sink], CLOCK, BUDGET_MS, watchers, framing=framing, tell=told.notices)
    assert 10 <= len(waited) <= 30
    assert all(seg.frame.region == box and not seg.shown for seg in waited)
    assert "REGION FOUND: PRESS R, OR --accept-region" in waited[1].notes
    assert waited[5].picture is not None
    assert (waited[5].picture[40, 16] != waited[5].frame.pixels[40, 16]).any(), "the box is on the picture"
    assert after[-1].shown
    assert after[-1].frame.region == box
    assert [line.split()[1] for line in said if "REGION" in line] == ["REGION_FOUND", "REGION_CONFIRMED"]
    assert (
        "region found, not confirmed: 16,8,112,88, confidence 0.80; no overlay until it is" in capsys.readouterr().err
    )


def test_places_on_the_cpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    core = max(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    assert places(None, realtime=False) == (Scheduling(), Scheduling())
    assert places(f"{core},{core}", realtime=False) == (Scheduling(cpus=(core,)), Scheduling(cpus=(core,)))
    assert os.sched_getaffinity(0) == before, "asked, not taken"
    for wrong, words in (("1", "expected LOOP,ENGINE"), ("a,b", "expected LOOP,ENGINE"), ("0,4095", r"CPUs \[4095\]")):
        with pytest.raises(ConfigError, match=words):
            places(wrong, realtime=False)
    monkeypatch.setattr("edge3vt.cli.lanes.realtime_permitted", lambda priority: False)
    assert places(None, realtime=True) == (Scheduling(), Scheduling())
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr("edge3vt.cli.lanes.realtime_permitted", lambda priority: True)
    loop, engine = places(None, realtime=True)
    assert (loop.realtime, engine.realtime) == (LOOP_PRIORITY, ENGINE_PRIORITY)
    assert LOOP_PRIORITY > ENGINE_PRIORITY, "rule R1: raw first"


def test_the_loop_keeps_its_place_for_the_run_only() -> None:
    core = max(os.sched_getaffinity(0))
    before, held = os.sched_getaffinity(0), set[frozenset[int]]()
    with closing(ThreadLane(partial(FakeSession, SPEC, CLOCK))) as lane:
        watch = [lambda seg: held.add(frozenset(os.sched_getaffinity(0)))]
        drive(Pictures(0.2), lane, [NullSink()], CLOCK, BUDGET_MS, watch, place=Scheduling(cpus=(core,)))
    assert held == {frozenset({core})}
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    "option", [("--accept-region",), ("--realtime",), ("--smaller-engine", "engines/build/cpu-int8")]
)
def test_what_speaks_of_time_is_refused_offline(option: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["run", "clip.mp4", "--offline", *option])
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert said.err.count("\n") == 1
    assert f"{option[0]}: not with --offline" in said.err
