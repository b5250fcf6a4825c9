"""The reading page: one case after another, drawn in the browser, and the desk that hands out the cases."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable
from typing import Protocol

from edge3vt.core.errors import BackendMissingError
from edge3vt.viewer.drawing import Contour, Drawing

__all__ = ["Contour", "Desk", "Drawing", "serve"]

IDLE_S = 60.0
"""After so long without mouse or key a reader's time stands still."""


class Desk(Protocol):
    """What one reader of a study has on the desk. The page calls it from one thread at a time.

    title: shown; of this reader's session and no other, and silent about arms. structures: what has to be drawn or said
    not to be seen, nine at most. cases: blinded ids, in this reader's order.
    """

    @property
    def title(self) -> str: ...

    @property
    def structures(self) -> tuple[str, ...]: ...

    @property
    def cases(self) -> tuple[str, ...]: ...

    def picture(self, case: str) -> bytes:
        """The picture as PNG, without anything that tells of patient, arm or reader."""
        ...

    def given(self, case: str) -> tuple[Contour, ...] | None:
        """The AI's contours to start from, () where it found nothing; None where the reader works alone.

        Each point can be dragged: some dozens to a contour are enough.
        """
        ...

    def saved(self, case: str) -> Drawing | None:
        """What `save` was last given; None before."""
        ...

    def save(self, case: str, drawing: Drawing) -> None:
        """Keep it, whole or not at all, and durably: when this returns, a kill loses nothing of it.

        Raises Edge3vtError or OSError where it cannot; the page then says so, and sends it again.
        """
        ...


def serve(
    desk: Desk,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    announce: Callable[[str], None],
    warn: Callable[[str], None] = lambda line: None,
    idle_s: float = IDLE_S,
) -> None:
    """Serve the page to one browser of this machine until SIGINT or SIGTERM; all that the page calls saved is.

    port: 0 for any that is free. announce: takes the link, good for one browser, once. warn: takes a line for each time
    that the desk could not read or keep. Raises ConfigError for a host or port that cannot be had.
    """
    try:
        from edge3vt.viewer.lectern import attend
    except ImportError as error:
        raise BackendMissingError(f"reading in the browser needs aiohttp ({error}); install edge3vt[viewer]") from error

    async def run() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _end, loop, number, ended)
        await attend(
            desk,
            host,
            port,
            secret=secrets.token_bytes(32),
            idle_s=idle_s,
            announce=announce,
            warn=warn,
            ended=ended,
        )

    asyncio.run(run())


def _end(loop: asyncio.AbstractEventLoop, number: int, ended: asyncio.Event) -> None:
    ended.set()
    loop.remove_signal_handler(number)  # a second one ends it at once
