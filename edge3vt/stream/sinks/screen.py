"""The window itself, in a process of its own: when its display goes, SDL's libraries end the process they are in."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge3vt.core.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock, wall_label
from edge3vt.core.errors import Edge3vtError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Segmentation, State
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.band import PLAIN
from edge3vt.picture.blank import blanked
from edge3vt.picture.draw import Composer
from edge3vt.picture.images import write_image
from edge3vt.picture.text import panel, paste
from edge3vt.picture.view import View
from edge3vt.stream.sinks.keys import LIST, pressed
from edge3vt.stream.sinks.queue import Queue

LOST_NS = 250 * NS_PER_MS  # rule R3
NOTICE_NS = 3 * NS_PER_S
WAIT_S = 0.02


@dataclass(frozen=True, slots=True)
class Places:
    """Where what the operator keeps goes: snapshots, and pictures whose mask is wrong."""

    snapshots: Path = Path("snapshots")
    queue: Path = Path("wrong-masks")


class Screen:
    """The newest picture as the operator wants to see it. Nothing is invented: the last one stays, with its notice.

    Raises pygame.error without a display.
    """

    def __init__(self, title: str, places: Places, clock: Clock | None = None) -> None:
        import pygame

        self._pygame: Any = pygame
        self._title, self._places, self._clock = title, places, clock or SystemClock()
        pygame.display.init()
        self.view = View()
        self.closed = self.confirmed = False
        self._queue = Queue(places.queue)
        self._spec: ModelSpec | None = None
        self._compose = Composer()
        self._seg: Segmentation | None = None
        self._came_ns, self._interval_ns = 0, 0
        self._lost = self._help = False
        self._notice, self._notice_until_ns = "", 0

    def show(self, seg: Segmentation, spec: ModelSpec | None) -> None:
        """Show a new picture."""
        now = self._clock.now_ns()
        if spec != self._spec:
            self._spec, self._compose = spec, Composer(spec)
        self._interval_ns = now - self._came_ns if self._came_ns else 0
        self._seg, self._came_ns, self._lost = seg, now, False
        self._draw()

    def attend(self) -> None:
        """Do what the keys ask for, and say so when no picture comes any more."""
        asked, pygame = False, self._pygame
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self.closed = True
            elif event.type == pygame.KEYDOWN:
                self.press(pygame.key.name(event.key))
                asked = True
            elif event.type in (pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED):
                asked = True
        now = self._clock.now_ns()
        if self._seg is not None and not self._lost and now - self._came_ns > max(LOST_NS, 3 * self._interval_ns):
            self._lost = asked = True
        if self._notice and now > self._notice_until_ns:
            self._notice, asked = "", True
        if asked and not self.closed:
            self._draw()

    def press(self, key: str) -> None:
        """What a key of this name does."""
        seg = self._seg
        self.view, command = pressed(key, self.view, seg.frame.epoch if seg else self.view.epoch)
        match command:
            case "close":
                self.closed = True
            case "region":
                self.confirmed = True
            case "help":
                self._help = not self._help
            case "full screen":
                with suppress(self._pygame.error):
                    self._pygame.display.toggle_fullscreen()
            case "snapshot" if seg is not None:
                self._say(self._kept(lambda: self._snapshot(seg)))
            case "wrong" if seg is not None:
                self._say(self._kept(lambda: self._queue.add(seg, self._spec)))

    def picture(self) -> Pixels:
        """What the window shows, but for its scale."""
        assert self._seg is not None, "there is a window only after the first picture"
        seg = self._seg
        if self._lost:
            seg = replace(seg, state=State.NO_SIGNAL, shown=False, withheld="no new picture", notes=())
        picture = self._compose(seg, self.view)
        size = max(10, round(min(seg.frame.height, seg.frame.width) / 52))
        panels = [_list(size)] if self._help else []
        panels += [panel([self._notice], size, PLAIN)] if self._notice else []
        y = size
        for each in panels:
            paste(picture, each, max((picture.shape[1] - each.shape[1]) // 2, 0), y)
            y += each.shape[0] + size
        return picture

    def _draw(self) -> None:
        if self._seg is None:
            return
        picture = np.ascontiguousarray(self.picture())
        size = (picture.shape[1], picture.shape[0])
        display = self._pygame.display
        screen = display.get_surface()
        if screen is None or screen.get_size() != size:
            display.set_caption(self._title)
            screen = self._opened(size)
        screen.blit(self._pygame.image.frombuffer(picture, size, "RGB"), (0, 0))
        display.flip()

    def _opened(self, size: tuple[int, int]) -> Any:
        """A window of this size, scaled to what the operator makes of it; in step with the display where it can be."""
        pygame, display = self._pygame, self._pygame.display
        full = 0
        if display.get_surface() is not None:  # a scaled window that changes its size crashes SDL's software renderer
            full = pygame.FULLSCREEN if display.is_fullscreen() else 0
            display.quit()
            display.init()
            display.set_caption(self._title)
        for flags, vsync in ((pygame.SCALED | pygame.RESIZABLE | full, 1), (pygame.SCALED | full, 0), (full, 0)):
            with suppress(pygame.error), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a slow renderer, where there is no other
                return display.set_mode(size, flags, vsync=vsync)
        return display.set_mode(size)

    def _say(self, notice: str) -> None:
        self._notice, self._notice_until_ns = notice, self._clock.now_ns() + NOTICE_NS

    def _kept(self, keep: Callable[[], str]) -> str:
        try:
            return keep()
        except (OSError, Edge3vtError) as error:
            return f"not kept: {getattr(error, 'strerror', None) or error}"

    def _snapshot(self, seg: Segmentation) -> str:
        """Write what is shown, blanked outside the region, under a name that nothing has."""
        picture = Composer(self._spec)(replace(seg, frame=blanked(seg.frame)), self.view)
        stem, number = wall_label().replace(":", "").replace("+0000", "Z"), 1
        while (path := self._places.snapshots / f"{stem}-{number}.png").exists():
            number += 1
        write_image(path, picture)
        return f"snapshot: {path.name}"


def _list(size_px: int) -> Pixels:
    """The keys and what they do, in two columns."""
    return np.hstack([panel(column, size_px, PLAIN) for column in zip(*LIST, strict=True)])


def serve(title: str, places: Places, pictures: Connection, answers: Connection) -> None:
    """The process: show what comes; answer "open" or why not, then "confirmed" and "closed" as whoever watches says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would go to stdout
    cv2.setNumThreads(1)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # whoever asked is gone
        try:
            screen = Screen(title, places)
        except ImportError:
            answers.send("missing")
            return
        except Exception as error:
            answers.send(f"no display ({error})")
            return
        answers.send("open")
        while not screen.closed:
            if pictures.poll(WAIT_S):
                said = pictures.recv()
                if said is None:
                    return
                screen.show(*said)
            screen.attend()
            if screen.confirmed:
                screen.confirmed = False
                answers.send("confirmed")
        answers.send("closed")
