"""Words to systemd by sd_notify(3): ready, alive, stopping. A datagram to a socket; nothing where nobody listens."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from pathlib import Path

from edge3vt.core.clock import Clock

UNIT = Path(__file__).with_name("edge3vt.service")
"""The systemd unit of a cart: docs/cart.md."""


class Watchdog:
    """The service's side of systemd's watchdog. Never blocks, never raises; ``lost`` counts what was not heard.

    ``delivered`` may be called by nobody but the loop that has just handed a frame to its sinks: a thread that says
    "alive" while the picture stands still would defeat the watchdog. environment loses its three variables, so that
    no child speaks for this process.
    """

    def __init__(self, clock: Clock, environment: MutableMapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        ours = not pid or pid == str(os.getpid())
        self._clock = clock
        self._every_ns = int(microseconds) * 1000 // 4 if microseconds.isdigit() and ours else 0
        self._last_ns: int | None = None
        self.lost = 0
        self._socket: socket.socket | None = None
        if address.startswith(("/", "@")):
            self._address = "\0" + address[1:] if address.startswith("@") else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def ready(self) -> None:
        """The first frame is out: the engine is warm and the sinks are open."""
        self._say("READY=1")

    def delivered(self) -> None:
        """A frame has just been handed over; told at most four times in the watchdog's own time."""
        if not self._every_ns or self._socket is None:
            return
        now_ns = self._clock.now_ns()
        if self._last_ns is None or now_ns - self._last_ns >= self._every_ns:
            self._last_ns = now_ns
            self._say("WATCHDOG=1")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, state: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(state.encode(), self._address)
        except OSError:  # nobody listens, or too slowly: systemd will find out, the picture goes on
            self.lost += 1
