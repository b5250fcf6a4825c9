from __future__ import annotations

import pytest

from edge3vt.core.errors import ConfigError
from edge3vt.stream.sources.script import Fault, parse_faults, steps


def test_faults_are_read() -> None:
    assert parse_faults("black@2-3.5,size@4:640x480,rate@5:120,hang@6,exit@7:137,lost@8", "x") == (
        Fault("black", 2, 3.5),
        Fault("size", 4, value=(640, 480)),
        Fault("rate", 5, value=(120,)),
        Fault("hang", 6),
        Fault("exit", 7, value=(137,)),
        Fault("lost", 8),
    )
    assert parse_faults("", "x") == ()


@pytest.mark.parametrize(
    "text",
    [
        "blank@1-2",
        "black@1",
        "black@2-1",
        "black",
        "size@1",
        "size@1:0x5",
        "rate@1:0",
        "hang@1-2",
        "exit@1:x",
        "gap@1-2:3",
    ],
)
def test_what_is_no_fault_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ConfigError, match=r"no fault is written .*black@2-3, .*size@2:640x480"):
        parse_faults(text, "test://speckle")


def run(faults: str, rate_hz: float = 10, frames: int | None = 20) -> list[tuple[int, int, str]]:
    found = steps(parse_faults(faults, "x"), rate_hz, 320, 240, frames)
    return [(s.time_ns // 1_000_000, s.number, s.kind) for s in found]


def test_without_faults_it_is_the_rate() -> None:
    assert run("", frames=3) == [(0, 0, "show"), (100, 1, "show"), (200, 2, "show")]


def test_spans() -> None:
    assert [n for _, n, _ in run("gap@0.5-1")] == [0, 1, 2, 3, 4, *range(10, 20)]
    assert [n for _, n, kind in run("frozen@0.5-1") if kind == "frozen"] == [4] * 5
    assert [n for _, n, kind in run("black@0.5-1") if kind == "black"] == [5, 6, 7, 8, 9]
    assert [n for _, n, kind in run("corrupt@0.5-1") if kind == "corrupt"] == [5, 6, 7, 8, 9]


def test_moments() -> None:
    assert run("hang@0.2")[-1] == (200, 2, "hang")
    assert run("lost@0.2", frames=None)[-1] == (200, 2, "lost")
    (*_, last) = steps(parse_faults("exit@0.1:137", "x"), 10, 320, 240)
    assert (last.kind, last.code) == ("exit", 137)
    assert [s.width for s in steps(parse_faults("size@0.2:640x480", "x"), 10, 320, 240, 4)] == [320, 320, 640, 640]
    assert [t for t, _, _ in run("rate@0.2:100", frames=5)] == [0, 100, 200, 210, 220]
