"""Frames into browsers: the viewer's process, its links, its death and its return."""

from __future__ import annotations

import multiprocessing
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from edge3vt.core.clock import NS_PER_S, Clock, SystemClock
from edge3vt.core.errors import BackendMissingError, ConfigError, DataError
from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sinks.mailbox import Mailbox
from edge3vt.stream.slots import Slots
from edge3vt.viewer.feed import Parcel
from edge3vt.viewer.parcels import parcel_slots, put
from edge3vt.viewer.place import Place, authority, own_address
from edge3vt.viewer.rules import ENTRY, Limits, is_loopback

ATTENDS_S = 0.05
OPENS_S = 20.0
REOPEN_NS = 2 * NS_PER_S
CLOSE_S = 1.0


class ViewSink(Sink):
    """The newest picture to every browser that was let in, from a process of its own.

    say: takes the lines that a person must see: the links. Each lets one browser in, once. When the process dies,
    ``notice`` says so, and it is opened again at its port every two seconds, with the same sessions and new links.
    written: pictures handed over; dropped: those that newer ones overtook, in our mailbox or, while someone watched,
    in the process, and all while there is none. Raises ConfigError for a place that cannot be had, or that the network
    could see without ``lan``; BackendMissingError without aiohttp (the extra ``viewer``).
    """

    def __init__(self, place: Place, say: Callable[[str], None], clock: Clock | None = None) -> None:
        if not is_loopback(place.host) and not place.lan:
            raise ConfigError(
                f"view://{authority(place.host, place.port)}: anyone on that network could try to look in, and nothing "
                f"is encrypted; add ?lan=yes if that is meant, or leave the address out"
            )
        most = Limits().clients
        if not 1 <= place.screens <= most:
            raise ConfigError(f"view://: screens is {place.screens}, expected 1 to {most}")
        self._place, self._say, self._clock = place, say, clock or SystemClock()
        self._secret = secrets.token_bytes(32)
        self._count = self._lost = 0
        self._gone, self._gone_ns, self._too_large = False, 0, False
        self.opened = 0
        if why := self._open():
            self._end()
            if why == "missing":
                raise BackendMissingError(
                    "view:// needs aiohttp, which is not installed; pip install 'edge3vt[viewer]'"
                )
            where = f"view://{authority(place.host, place.port)}"
            raise ConfigError(f"{where}: cannot listen there ({why}); choose another port, or none for any")
        self._mailbox: Mailbox[Parcel] = Mailbox(self._show, depth=1, idle=self._attend, idle_s=ATTENDS_S)

    @property
    def written(self) -> int:
        return self._mailbox.written - self._lost

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped + self._lost

    @property
    def notice(self) -> str:
        if self._gone:
            return "VIEW LOST"
        return "VIEW: TOO LARGE" if self._too_large else ""

    def __call__(self, seg: Segmentation) -> None:
        self._count += 1
        self._mailbox.put(Parcel(replace(seg, picture=None), self.spec, self._count, self._clock.now_ns()))

    def close(self) -> None:
        self._mailbox.close(timeout_s=CLOSE_S)
        self._end()

    def _open(self) -> str:
        """Start the process; returns why it cannot serve, "" when it does."""
        context = multiprocessing.get_context("spawn")
        self._answers, its_answers = context.Pipe(duplex=False)
        its_commands, self._commands = context.Pipe(duplex=False)
        self._slots = parcel_slots()
        self._process = context.Process(
            target=_serve,
            args=(self._place, self._secret, self._slots, its_commands, its_answers),
            name="viewer",
            daemon=True,
        )
        self._process.start()
        its_commands.close()
        its_answers.close()
        said = self._answer(OPENS_S) or ("refused", "its process ended, or gave no answer")
        if said[0] != "open":
            return str(said[-1])
        _, port, tokens = said
        self._place = replace(self._place, port=port)
        self.opened += 1
        host = self._place.host if self._place.host not in ("0.0.0.0", "::") else own_address(self._place.host)
        for token in tokens:
            self._say(f"view: http://{authority(host, port)}{ENTRY}?token={token}  (lets one browser in, once)")
        if self._place.lan:
            self._say("view: OPEN ON THE NETWORK, and not encrypted")
        return ""

    def _show(self, parcel: Parcel) -> None:
        self._attend()
        if self._gone:
            self._lost += 1
            return
        try:
            put(self._slots, parcel)
            self._too_large = False
        except DataError:
            self._too_large = True
            self._lost += 1

    def _attend(self) -> None:
        """Open it again when it is gone."""
        if self._gone:
            if self._clock.now_ns() - self._gone_ns < REOPEN_NS:
                return
            self._gone_ns = self._clock.now_ns()
            self._gone = bool(self._open())
            if self._gone:
                self._end()
        elif not self._process.is_alive():
            self._gone, self._gone_ns = True, self._clock.now_ns()
            self._end()

    def _answer(self, timeout_s: float) -> tuple[Any, ...] | None:
        try:
            return tuple(self._answers.recv()) if self._answers.poll(timeout_s) else None
        except (EOFError, OSError):
            return None

    def _end(self) -> None:
        with suppress(OSError):
            self._commands.close()
        if (said := self._answer(CLOSE_S)) is not None and said[0] == "ended":
            self._lost += said[1]
        self._process.join(CLOSE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._answers.close()
        self._slots.close()


def _serve(place: Place, secret: bytes, slots: Slots, commands: Connection, answers: Connection) -> None:
    """The process, where aiohttp is there."""
    try:
        from edge3vt.viewer.server import serve
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        answers.send(("refused", "missing"))
        return
    serve(place, secret, slots, commands, answers)
