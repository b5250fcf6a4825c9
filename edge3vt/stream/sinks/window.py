"""Frames into a window, through SDL."""

from __future__ import annotations

import os

from edge3vt.core.errors import BackendMissingError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sinks.mailbox import Mailbox

EVENTS_S = 0.05


class WindowSink(Sink):
    """A window with the newest picture. Esc, or closing it, sets ``closed``; what comes after is not shown.

    Raises BackendMissingError without pygame-ce (the extra ``window``) or without a display.
    """

    def __init__(self, title: str = "edge3vt") -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would go to stdout
        try:
            import pygame
        except ImportError as error:
            raise BackendMissingError(
                "display:// needs pygame-ce, which is not installed; pip install 'edge3vt[window]'"
            ) from error
        self._pygame, self._title = pygame, title
        try:
            pygame.display.init()
        except pygame.error as error:
            raise BackendMissingError(f"display:// found no display ({error}); set DISPLAY or choose a file") from error
        pygame.display.quit()  # the window belongs to the thread that draws in it
        self._mailbox: Mailbox[Pixels] = Mailbox(
            self._show, depth=1, idle=self._handle_events, idle_s=EVENTS_S, finish=pygame.display.quit
        )

    @property
    def written(self) -> int:
        return self._mailbox.written

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped

    def __call__(self, seg: Segmentation) -> None:
        if seg.picture is not None and not self.closed:
            self._mailbox.put(seg.picture.copy())

    def close(self) -> None:
        error = self._mailbox.close()
        if error is not None:
            raise BackendMissingError(f"display:// failed ({error}); choose a file instead") from error

    def _show(self, picture: Pixels) -> None:
        if self.closed:
            return
        display = self._pygame.display
        size = (picture.shape[1], picture.shape[0])
        screen = display.get_surface() if display.get_init() else None
        if screen is None or screen.get_size() != size:
            display.init()
            display.set_caption(self._title)
            screen = display.set_mode(size)
        screen.blit(self._pygame.image.frombuffer(picture.tobytes(), size, "RGB"), (0, 0))
        display.flip()
        self._handle_events()

    def _handle_events(self) -> None:
        pygame = self._pygame
        if not pygame.display.get_init():
            return
        for event in pygame.event.get():
            if event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE):
                self.closed = True
                pygame.display.quit()
                return
