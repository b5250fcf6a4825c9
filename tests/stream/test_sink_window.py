from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest

from edge3vt.core.errors import BackendMissingError
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.stream.sinks.window import WindowSink


def seg(index: int, size: tuple[int, int] = (32, 24)) -> Segmentation:
    picture = np.full((size[1], size[0], 3), (250, index, 10), np.uint8)
    frame = Frame(index, index, picture[..., 0])
    return Segmentation(
        frame, None, None, None, Verdict.ON_TIME, "", False, State.LIVE, (), False, "", "model", picture=picture
    )


@pytest.fixture
def pygame(monkeypatch: pytest.MonkeyPatch) -> Any:
    """SDL without a screen. ``pygame.shown`` holds the corner of what was shown; ``turned`` is set by each flip."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    module: Any = pytest.importorskip("pygame")
    module.shown, module.turned, flip = [], threading.Event(), module.display.flip

    def watched() -> None:
        surface = module.display.get_surface()
        module.shown.append((surface.get_size(), tuple(surface.get_at((0, 0)))[:3]))
        flip()
        module.turned.set()

    monkeypatch.setattr(module.display, "flip", watched)
    return module


def show(pygame: Any, sink: WindowSink, seg: Segmentation) -> None:
    pygame.turned.clear()
    sink(seg)
    assert pygame.turned.wait(10)


def test_pictures_are_shown_in_their_colours_and_size(pygame: Any) -> None:
    with WindowSink() as sink:
        show(pygame, sink, seg(1))
        show(pygame, sink, seg(2, (40, 30)))
    assert pygame.shown == [((32, 24), (250, 1, 10)), ((40, 30), (250, 2, 10))]
    assert (sink.written, sink.dropped, sink.closed) == (2, 0, False)
    assert not pygame.display.get_init()


def test_the_newest_wins_and_the_rest_is_counted(pygame: Any) -> None:
    with WindowSink() as sink:
        for index in range(200):
            sink(seg(index))
    assert pygame.shown[-1][1] == (250, 199, 10)
    assert sink.written + sink.dropped == 200


@pytest.mark.parametrize("how", ["escape", "close"])
def test_whoever_watches_can_close_it(pygame: Any, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pygame.event.Event(*((pygame.KEYDOWN, {"key": pygame.K_ESCAPE}) if how == "escape" else (pygame.QUIT,)))
    other = pygame.event.Event(pygame.KEYDOWN, {"key": pygame.K_a})
    events: list[Any] = [other]
    monkeypatch.setattr(pygame.event, "get", lambda: [events.pop()] if events else [])
    closed, quit_display = threading.Event(), pygame.display.quit
    with WindowSink() as sink:
        show(pygame, sink, seg(1))
        assert not sink.closed
        monkeypatch.setattr(pygame.display, "quit", lambda: (quit_display(), closed.set()))
        events.append(asked)
        assert closed.wait(10)
        sink(seg(2))
    assert sink.closed
    assert len(pygame.shown) == 1


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(BackendMissingError, match=r"edge3vt\[window\]"):
        WindowSink()


def test_without_a_display_it_says_so(pygame: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    with pytest.raises(BackendMissingError, match="found no display"):
        WindowSink()
