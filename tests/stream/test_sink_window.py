"""The window's process, its death and its return; and with a virtual display the real thing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.errors import BackendMissingError
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.stream.sinks import window
from edge3vt.stream.sinks.callback import CallbackSink
from edge3vt.stream.sinks.window import WindowSink

pytest.importorskip("pygame")


def seg(index: int, size: tuple[int, int] = (320, 240)) -> Segmentation:
    frame = Frame(index, index, np.full((size[1], size[0]), index % 250, np.uint8))
    return Segmentation(frame, None, None, None, Verdict.ON_TIME, "", False, State.LIVE, (), False, "", "model")


def until(true: Callable[[], Any], seconds: float = 20) -> None:
    clock = SystemClock()
    end_ns = clock.now_ns() + int(seconds * NS_PER_S)
    while not true():
        assert clock.now_ns() < end_ns, "it took too long"
        clock.sleep_until_ns(clock.now_ns() + 5_000_000)


@pytest.fixture
def dummy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SDL without a screen."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(window, "REOPEN_NS", NS_PER_S // 20)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("dummy")
def test_it_takes_what_it_keeps_up_with() -> None:
    with WindowSink() as sink:
        for index in range(100):
            sink(seg(index))
    assert sink.written + sink.dropped == 100
    assert sink.written > 0
    assert (sink.closed, sink.notice) == (False, "")
    assert not sink._process.is_alive()


@pytest.mark.usefixtures("dummy")
def test_a_window_that_dies_is_said_and_opened_again_and_nobody_else_notices() -> None:
    seen: list[int] = []
    other = CallbackSink(lambda each: seen.append(each.frame.index), depth=1000)
    with WindowSink() as sink, other:
        sink(seg(0))
        until(lambda: sink.written)
        sink._process.kill()
        until(lambda: sink.notice == "DISPLAY LOST")
        for index in range(300):
            sink(seg(index))
            other(seg(index))
        until(lambda: sink.opened == 2 and not sink.notice)
        before = sink.written
        sink(seg(1))
        until(lambda: sink.written > before)
        assert not sink.closed
    assert seen == list(range(300))


@pytest.mark.usefixtures("dummy")
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_a_window_that_hangs_holds_up_neither_the_loop_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "CLOSE_S", 0.2)
    sink = WindowSink()
    assert sink._process.pid is not None
    os.kill(sink._process.pid, signal.SIGSTOP)
    for index in range(60):
        sink(seg(index, (640, 480)))
    sink.close()
    assert sink.dropped > 30
    assert not sink._process.is_alive()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WindowSink, "_open", lambda self: "missing")
    monkeypatch.setattr(WindowSink, "_end", lambda self: None)
    with pytest.raises(BackendMissingError, match=r"edge3vt\[window\]"):
        WindowSink()


def test_without_a_display_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    with pytest.raises(BackendMissingError, match="found no display"):
        WindowSink()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="there is no Xvfb here")
def test_a_display_that_goes_and_comes_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fault 16. Xlib ends the process whose display goes: the window's, not ours."""
    monkeypatch.setattr(window, "REOPEN_NS", NS_PER_S // 5)
    monkeypatch.chdir(tmp_path)
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x960x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(writer,), stderr=subprocess.DEVNULL)
    number = os.read(reader, 16).decode().strip()
    monkeypatch.setenv("DISPLAY", f":{number}")
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    seen: list[int] = []
    try:
        with WindowSink() as sink, CallbackSink(lambda each: seen.append(each.frame.index), depth=1000) as other:
            for index in range(60):
                sink(seg(index))
                other(seg(index))
            until(lambda: sink.written)
            server.kill()
            server.wait()
            until(lambda: sink.notice == "DISPLAY LOST")
            for index in range(60, 120):
                sink(seg(index))
                other(seg(index))
            assert sink.notice == "DISPLAY LOST"
            command[1:3] = [f":{number}"]
            server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            until(lambda: not sink.notice)
            before = sink.written
            sink(seg(120))
            until(lambda: sink.written > before)
        assert seen == list(range(120))
    finally:
        server.kill()
        server.wait()
        os.close(reader)
        os.close(writer)
