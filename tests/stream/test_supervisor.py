"""The supervisor alone: no process, no clock, no thread."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge3vt.core.clock import NS_PER_MS
from edge3vt.stream import supervisor as module
from edge3vt.stream.supervisor import (
    Action,
    Activate,
    Died,
    Event,
    Kill,
    Ready,
    Refuse,
    Report,
    Reset,
    Rules,
    Seen,
    Start,
    Supervisor,
    Swap,
)

TICK_MS = 20


class World:
    """Processes as a machine would have them: ready after a while, alive until told otherwise, dead when killed."""

    def __init__(self, *, standby: bool = True, opens_ms: int = 100, rules: Rules | None = None) -> None:
        self.core = Supervisor(0, standby=standby, rules=rules)
        self.now_ms, self.opens_ms = 0, opens_ms
        self.opening: dict[int, int] = {}
        self.alive: dict[int, bool] = {0: True}  # whether it beats
        self.pulse_ms = {0: 0}
        self.waits_ms: dict[int, int] = {}
        self.unkillable: set[int] = set()
        self.active: int | None = 0
        self.done: list[tuple[int, Action]] = []
        self.news: list[Event] = []
        self.dies_at_start = ""
        self.started = 0

    def tick(self, count: int = 1, ms: int = TICK_MS) -> None:
        for _ in range(count):
            self.now_ms += ms
            for number, since in list(self.opening.items()):
                if self.dies_at_start:
                    self.die(number, self.dies_at_start)
                elif self.now_ms - since >= self.opens_ms:
                    del self.opening[number]
                    self.alive[number], self.pulse_ms[number] = True, self.now_ms
                    self.news.append(Ready(number))
            for number, beats in self.alive.items():
                if beats:
                    self.pulse_ms[number] = self.now_ms
                waits = self.waits_ms.get(number)
                self.news.append(
                    Seen(number, self.pulse_ms[number] * NS_PER_MS, None if waits is None else waits * NS_PER_MS)
                )
            events, self.news = self.news, []
            for action in self.core.step(events, self.now_ms * NS_PER_MS):
                self.done.append((self.now_ms, action))
                match action:
                    case Start(number):
                        assert not self.alive.keys() & self.killed, "no second process before the first has gone"
                        self.opening[number] = self.now_ms
                        self.started += 1
                    case Activate(number):
                        assert self.alive.get(number), "only a process that is ready and beats"
                        self.active = number
                    case Kill(number):
                        self.killed.add(number)
            for number in self.killed - self.unkillable:
                if number in self.alive or number in self.opening:
                    self.die(number, "KILLED")

    @property
    def killed(self) -> set[int]:
        return self.__dict__.setdefault("_killed", set())

    def die(self, number: int, code: str) -> None:
        self.opening.pop(number, None)
        self.alive.pop(number, None)
        self.news.append(Died(number, code))

    def said(self, kind: type[Action]) -> list[tuple[int, Action]]:
        return [(ms, action) for ms, action in self.done if isinstance(action, kind)]

    def codes(self) -> list[str]:
        return [action.code for _, action in self.done if isinstance(action, Report)]


def settled(**options: object) -> World:
    """A world whose spare, where there is one, is ready."""
    world = World(**options)  # type: ignore[arg-type]
    world.tick(20)
    world.done.clear()
    return world


def test_it_starts_a_spare_and_then_leaves_all_in_peace() -> None:
    world = World()
    world.tick(500)
    assert world.done == [(TICK_MS, Start(1, "same"))]
    assert world.core.off == ""
    assert not world.core.restarts
    alone = World(standby=False)
    alone.tick(500)
    assert not alone.done


@pytest.mark.parametrize("how", ["silent", "waits"])
def test_a_hang_is_said_within_250_ms_and_killed_after_a_second(how: str) -> None:
    world = settled(standby=False)
    begun = world.now_ms
    if how == "silent":
        world.alive[0] = False
    else:
        world.waits_ms[0] = begun  # it beats, but the frame it was given is lost
    world.tick(80)
    (said, report), *_ = world.said(Report)
    assert report == Report("HANG")
    assert 170 <= said - begun <= 200
    ((killed, kill),) = world.said(Kill)
    assert kill == Kill(0)
    assert 1000 <= killed - begun <= 1040
    ((started, _),) = world.said(Start)
    ((back, activate),) = world.said(Activate)
    assert activate == Activate(1)
    assert back - started <= world.opens_ms + 2 * TICK_MS
    assert world.codes() == ["HANG", ""]
    assert world.core.restarts == {"HANG": 1}


def test_planted_a_supervisor_that_never_kills_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Supervisor, "_end_silent", lambda self, now_ns: [])
    with pytest.raises(ValueError, match="not enough values"):
        test_a_hang_is_said_within_250_ms_and_killed_after_a_second("silent")


def test_a_spare_takes_over_at_once_and_a_new_one_comes() -> None:
    world = settled()
    world.alive[0] = False
    world.tick(30)
    assert [action for _, action in world.done] == [Kill(0), Activate(1), Start(2, "same")]
    assert world.codes() == [], "off was never longer than a moment"
    assert world.core.restarts == {"HANG": 1}


@pytest.mark.parametrize("code", ["EXIT", "KILLED"])
@pytest.mark.parametrize("standby", [True, False])
def test_an_end_is_followed_by_another_process(code: str, standby: bool) -> None:
    world = settled(standby=standby)
    world.die(0, code)
    world.tick(20)
    assert world.active is not None
    assert world.active > 0
    assert world.codes() == ([] if standby else [code, ""])
    assert world.core.restarts == {code: 1}


def test_a_hang_that_ends_by_itself_is_on_again() -> None:
    world = settled(standby=False)
    world.alive[0] = False
    world.tick(25)
    world.alive[0] = True
    world.tick(100)
    assert world.codes() == ["HANG", ""]
    assert not world.said(Kill)
    assert not world.core.restarts


def test_five_restarts_in_a_minute_then_off_until_reset() -> None:
    world = settled(standby=False)
    world.dies_at_start = "EXIT"
    world.die(0, "EXIT")
    world.tick(5000)
    assert world.started == 5
    assert world.codes() == ["EXIT", "CRASHLOOP"]
    assert sum(world.core.restarts.values()) == 5
    world.dies_at_start = ""
    world.news.append(Reset())
    world.tick(20)
    assert world.codes()[-1] == ""
    assert world.core.off == ""


def test_five_restarts_again_after_a_minute() -> None:
    world = settled(standby=False)
    for _ in range(20):
        world.die(world.active or 0, "EXIT")
        world.tick(13_000 // TICK_MS)  # 4.6 a minute
    assert "CRASHLOOP" not in world.codes()
    assert world.core.restarts == {"EXIT": 20}
    for _ in range(7):
        assert world.active is not None
        if world.core.off == "":
            world.die(world.active, "EXIT")
        world.tick(20)
    assert world.core.off == "CRASHLOOP"


def test_a_spare_that_always_ends_does_not_harm_the_active_one() -> None:
    world = World()
    world.dies_at_start = "EXIT"
    world.tick(2000)
    assert world.core.off == ""
    assert world.codes() == []
    assert world.started == 6, "the first and five more"


def test_want_of_memory_is_tried_once_smaller() -> None:
    world = settled(standby=True)
    world.die(0, "OOM")
    world.tick(50)
    assert [action for _, action in world.done] == [Activate(1)], "the spare is there; no other beside it"
    world.die(1, "OOM")
    world.tick(50)
    assert [action for _, action in world.said(Start)] == [Start(2, "cheaper")]
    assert world.active == 2
    world.die(2, "OOM")
    world.tick(500)
    assert world.core.off == "OOM"
    assert world.started == 2, "the first spare and the cheaper one"
    world.news.append(Reset())
    world.tick(50)
    assert world.core.off == ""


def test_a_process_that_cannot_be_killed_keeps_its_device() -> None:
    world = settled(standby=False)
    world.alive[0] = False
    world.unkillable.add(0)
    world.tick(500)
    assert world.said(Kill)
    assert not world.said(Start)
    assert world.codes() == ["HANG", "STUCK"]
    world.unkillable.clear()
    world.tick(20)
    assert world.core.off == ""


def test_who_was_held_up_itself_blames_nobody() -> None:
    world = settled()
    world.waits_ms[0] = world.now_ms
    for number in world.alive:
        world.alive[number] = False
    world.tick(ms=5000)  # the whole machine stood still
    for number in world.alive:
        world.alive[number] = True
    world.waits_ms.clear()
    world.tick(50)
    assert world.done == []


def test_opening_may_not_take_for_ever() -> None:
    world = settled(standby=False, rules=Rules(open_ns=1000 * NS_PER_MS), opens_ms=10**9)
    world.die(0, "EXIT")
    world.tick(500)
    assert [(action.number, action.engine) for _, action in world.said(Start)] == [(n, "same") for n in range(1, 6)]
    assert world.core.off == "CRASHLOOP"


def test_a_swap_takes_over_when_it_is_ready_and_all_before_it_go() -> None:
    world = settled()
    world.news.append(Swap())
    world.tick(30)
    assert [action for _, action in world.done] == [
        Start(2, "next"),
        Activate(2, planned=True),
        Kill(0),
        Kill(1),
        Start(3, "same"),
    ]
    assert world.codes() == []
    assert not world.core.restarts


def test_a_swap_that_fails_changes_nothing() -> None:
    world = settled()
    world.dies_at_start = "OPEN"
    world.news.append(Swap())
    world.tick(50)
    assert [action for _, action in world.done] == [Start(2, "next"), Refuse(2, "OPEN")]
    assert world.active == 0


def test_a_second_swap_replaces_the_first() -> None:
    world = settled()
    for _ in range(2):
        world.news.append(Swap())
        world.tick(1)
    world.tick(30)
    assert [action for _, action in world.done][:4] == [
        Start(2, "next"),
        Kill(2),
        Refuse(2, "REPLACED"),
        Start(3, "next"),
    ]
    assert world.active == 3


def test_a_swap_ends_a_crash_loop() -> None:
    world = settled(standby=False)
    world.dies_at_start = "EXIT"
    world.die(0, "EXIT")
    world.tick(100)
    assert world.core.off == "CRASHLOOP"
    world.dies_at_start = ""
    world.news.append(Swap())
    world.tick(20)
    assert world.core.off == ""


FAULTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["die", "oom", "hang", "wake", "die_spare", "swap", "reset", "loop", "end_loop", "stall", "stuck"]
        ),
        st.integers(1, 120),
    ),
    max_size=40,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(FAULTS, st.booleans())
def test_whatever_happens(faults: Iterable[tuple[str, int]], standby: bool) -> None:
    """World checks each action; here: never more than five restarts a minute, never off without a reason, no limbo."""
    world = World(standby=standby)
    for fault, ticks in faults:
        match fault:
            case "die" | "oom" if world.active in world.alive:
                world.die(world.active, "OOM" if fault == "oom" else "EXIT")  # type: ignore[arg-type]
            case "hang" if world.active in world.alive:
                world.alive[world.active] = False  # type: ignore[index]
            case "wake":
                world.alive = dict.fromkeys(world.alive, True)
            case "die_spare":
                for number in [n for n in world.alive if n != world.active]:
                    world.die(number, "EXIT")
            case "swap":
                world.news.append(Swap())
            case "reset":
                world.news.append(Reset())
            case "loop" | "end_loop":
                world.dies_at_start = "EXIT" if fault == "loop" else ""
            case "stall":
                world.tick(ms=3000)
            case "stuck":
                world.unkillable = set(world.alive) if not world.unkillable else set()
        world.tick(ticks)
        on = world.active in world.alive and world.active not in world.killed
        assert (world.core.off == "") <= on, "AI is only said to be on while a process answers"
    world.dies_at_start, world.unkillable = "", set()
    world.news.append(Reset())
    world.alive = dict.fromkeys(world.alive, True)
    world.tick(200)
    assert world.core.off == "", "when all faults are over and it was reset, it is on again"
    started = [ms for ms, action in world.said(Start) if isinstance(action, Start) and action.engine != "next"]
    if all(fault not in ("swap", "reset") for fault, _ in faults):
        for first, last in zip(started, started[6:], strict=False):
            assert last - first >= 60_000 or last > world.now_ms - 200 * TICK_MS


def test_planted_a_supervisor_that_counts_no_losses_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Supervisor._give_up

    def forgetful(self: Supervisor, number: int, code: str, now_ns: int) -> list[module.Action]:
        actions = real(self, number, code, now_ns)
        self._losses.clear()
        return actions

    monkeypatch.setattr(Supervisor, "_give_up", forgetful)
    with pytest.raises(AssertionError):
        test_five_restarts_in_a_minute_then_off_until_reset()


def test_an_hour_of_a_sound_engine_changes_nothing() -> None:
    core = Supervisor(0, standby=False)
    for look in range(1, 3600 * 20):
        now_ns = look * 50 * NS_PER_MS
        assert core.step([Seen(0, now_ns - 10 * NS_PER_MS, now_ns - 5 * NS_PER_MS)], now_ns) == []
