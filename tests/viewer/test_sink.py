"""The viewer's process: its links, its end, its death and its return, while the loop goes on."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.errors import BackendMissingError, ConfigError
from edge3vt.viewer import sink as sinks
from edge3vt.viewer.parcels import LARGEST_BYTES
from edge3vt.viewer.place import Place, authority, own_address
from edge3vt.viewer.sink import ViewSink
from tests.viewer.scenes import frame, seg

CLOCK = SystemClock()


def until(true: Callable[[], Any], seconds: float = 30) -> None:
    end_ns = CLOCK.now_ns() + int(seconds * NS_PER_S)
    while not true():
        assert CLOCK.now_ns() < end_ns, "it took too long"
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 5_000_000)


def asked(port: int, target: str, cookie: str = "") -> tuple[int, str]:
    """Status and cookie of what comes back."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", target, headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        answer.read()
        return answer.status, (answer.headers["Set-Cookie"] or "").partition(";")[0]
    finally:
        connection.close()


def opened(line: str) -> tuple[int, str]:
    """Port and target of the link in a line."""
    found = re.search(r"http://127\.0\.0\.1:(\d+)(/enter\?token=\S{43})", line)
    assert found, line
    return int(found[1]), found[2]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def sink(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[ViewSink]:
    monkeypatch.setattr(sinks, "REOPEN_NS", NS_PER_S // 20)
    with ViewSink(Place(screens=2), lines.append) as made:
        yield made


def test_it_prints_a_link_for_each_screen_and_takes_what_comes(sink: ViewSink, lines: list[str]) -> None:
    assert len(lines) == 2
    (port, first), (other, second) = map(opened, lines)
    assert (port == other, first == second) == (True, False)
    assert [asked(port, target)[0] for target in (first, first, second)] == [200, 403, 200]
    for index in range(100):
        sink(seg(index))
    sink.close()
    assert sink.written + sink.dropped == 100
    assert sink.written > 0
    assert (sink.closed, sink.notice) == (False, "")
    assert not sink._process.is_alive()


def test_a_viewer_that_dies_is_said_and_opened_again_with_its_sessions(sink: ViewSink, lines: list[str]) -> None:
    port, target = opened(lines[0])
    cookie = asked(port, target)[1]
    sink._process.kill()
    until(lambda: sink.notice == "VIEW LOST")
    for index in range(20):
        sink(seg(index))
    until(lambda: sink.opened == 2 and not sink.notice)
    assert sink.dropped > 0
    assert opened(lines[-1])[0] == port
    assert asked(port, "/", cookie)[0] == 200
    assert asked(port, "/")[0] == 403


def test_a_viewer_that_hangs_holds_up_neither_the_loop_nor_the_end(
    sink: ViewSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "CLOSE_S", 0.2)
    assert sink._process.pid is not None
    os.kill(sink._process.pid, signal.SIGSTOP)
    for index in range(60):
        sink(seg(index))
    sink.close()
    assert sink.written + sink.dropped == 60
    assert not sink._process.is_alive()


def test_the_process_ends_with_its_parent(sink: ViewSink) -> None:
    sink._commands.close()
    sink._process.join(20)
    assert sink._process.exitcode == 0


def test_a_picture_that_is_too_large_is_said(sink: ViewSink) -> None:
    sink(seg(0, frame=frame(0, pixels=np.zeros((1, LARGEST_BYTES), np.uint8))))
    until(lambda: sink.notice == "VIEW: TOO LARGE")
    assert sink.dropped == 1
    sink(seg(1))
    until(lambda: not sink.notice)


def test_a_port_that_is_taken_is_one_line(lines: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"view://127.0.0.1:{port}: cannot listen there \(Address already in use"
        ):
            ViewSink(Place(port=port), lines.append)
    assert not lines


def test_the_network_is_let_in_only_when_asked_for(lines: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"view://0\.0\.0\.0:80: anyone .*; add \?lan=yes if that is meant"):
        ViewSink(Place("0.0.0.0", 80), lines.append)
    with pytest.raises(ConfigError, match="screens is 9, expected 1 to 8"):
        ViewSink(Place(screens=9), lines.append)
    with ViewSink(Place("0.0.0.0", lan=True), lines.append):
        assert len(lines) == 2
        assert lines[1] == "view: OPEN ON THE NETWORK, and not encrypted"
        assert "0.0.0.0" not in lines[0]


def test_without_the_package_the_extra_is_named(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ViewSink, "_open", lambda self: "missing")
    monkeypatch.setattr(ViewSink, "_end", lambda self: None)
    with pytest.raises(BackendMissingError, match=r"edge3vt\[viewer\]"):
        ViewSink(Place(), lines.append)


def test_the_process_says_when_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "edge3vt.viewer.server", None)

    class Answers:
        def send(self, said: Any) -> None:
            raise AssertionError(said)

    answers: Any = Answers()
    with pytest.raises(ModuleNotFoundError):  # of our own: that is a bug, not a missing package
        sinks._serve(Place(), b"", answers, answers, answers)


def test_addresses_as_they_are_written() -> None:
    assert (authority("127.0.0.1", 1), authority("::1", 1)) == ("127.0.0.1:1", "[::1]:1")
    assert re.fullmatch(r"[0-9.]+", own_address("0.0.0.0"))
