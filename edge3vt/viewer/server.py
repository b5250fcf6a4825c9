"""The viewer's process: the newest picture to every browser, each at its own pace."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection

import cv2
from aiohttp import WSMsgType, web

from edge3vt.core.clock import NS_PER_S, Clock, SystemClock
from edge3vt.stream.sinks.mailbox import NICENESS
from edge3vt.stream.slots import Slots
from edge3vt.viewer.feed import Feed
from edge3vt.viewer.guard import Guard, listen
from edge3vt.viewer.pace import STUCK_NS, Pace
from edge3vt.viewer.page import pages
from edge3vt.viewer.parcels import take
from edge3vt.viewer.place import Place
from edge3vt.viewer.rules import Allowance

ASSETS = ("viewer.js", "link.js", "overlay.js", "panel.js", "snapshot.js", "viewer.css")
YIELDS_NS = NS_PER_S
"""When all places are taken, a client that has not answered for so long gives up its own."""
ANSWERS_HZ = 240.0  # of one client: two for each picture of a 120 Hz source
CHECK_S = 0.25
STALE_NS = NS_PER_S // 4


class Client:
    """One browser: the newest message for it, and what it has not answered."""

    def __init__(self, opened: web.WebSocketResponse, cut: Callable[[], None], told: Callable[[], None]) -> None:
        self._opened, self.cut, self._told = opened, cut, told
        self._news = asyncio.Event()
        self._newest: tuple[int, bytes, int] | None = None
        self.pace = Pace()

    @property
    def wants(self) -> bool:
        return self.pace.free and self._newest is None

    def offer(self, number: int, message: bytes, now_ns: int) -> None:
        """The newest message, instead of one that it could not take yet."""
        self._newest = number, message, now_ns
        self._news.set()

    async def send(self, clock: Clock) -> None:
        """Send what it is offered while it answers."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._newest is not None and self.pace.free:
                (number, message, made_ns), self._newest = self._newest, None
                now_ns = clock.now_ns()
                if now_ns - made_ns < STALE_NS:  # else its facts would tell of another moment
                    self.pace.sent(number, now_ns)
                    await self._opened.send_bytes(message)
                self._told()

    async def hear(self, clock: Clock) -> None:
        """Take its answers until it goes, or says what no page of ours says."""
        allowance = Allowance(ANSWERS_HZ, ANSWERS_HZ)
        async for said in self._opened:
            sound = said.type is WSMsgType.TEXT and said.data.isascii() and said.data.isdigit() and len(said.data) < 16
            if not sound or not allowance.take(clock.now_ns()):
                return
            if self.pace.acknowledged(int(said.data)):
                self._news.set()
                self._told()


class Hub:
    """Takes the newest picture out of ``slots`` when a client wants one, and encodes it once for all of them."""

    def __init__(self, slots: Slots, guard: Guard, feed: Feed, clock: Clock | None = None) -> None:
        self._slots, self._guard, self._feed, self._clock = slots, guard, feed, clock or SystemClock()
        self._clients: set[Client] = set()
        self._wanted, self._came = asyncio.Event(), asyncio.Event()
        self._encoder = ThreadPoolExecutor(1, "encoder")
        self._watched = False
        self.lost = 0
        """Pictures that came while someone watched, and went to nobody."""

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """A browser's WebSocket, from its beginning to its end."""
        self._make_room()
        opened = await self._guard.open_socket(request)
        transport = request.transport
        client = Client(opened, transport.abort if transport else lambda: None, self._look)
        self._clients.add(client)
        self._look()
        sending = asyncio.ensure_future(client.send(self._clock))
        try:
            await client.hear(self._clock)
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sending
            self._clients.discard(client)
            self._guard.closed(opened)
            client.cut()  # it may not take a good-bye either
            self._look()
        return opened

    async def pump(self) -> None:
        """Pictures to those who want one, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            if not self._watched:
                self._watched = True
                self._slots.take(newest=0)  # nobody has missed what came before
            loop.add_reader(self._slots.fileno(), self._arrived)
            await self._came.wait()
            self._came.clear()
            parcel, lost = take(self._slots)
            self.lost += lost
            if parcel is None:
                continue
            now_ns = self._clock.now_ns()
            message = await loop.run_in_executor(self._encoder, self._feed.message, parcel, now_ns)
            for client in self._clients:
                client.offer(parcel.count, message, now_ns)
            self._look()

    async def watch(self) -> None:
        """Let go of those who are stuck, for ever."""
        while True:
            await asyncio.sleep(CHECK_S)
            for client in list(self._clients):
                if client.pace.stuck_ns(self._clock.now_ns()) > STUCK_NS:
                    client.cut()

    def _arrived(self) -> None:
        asyncio.get_running_loop().remove_reader(self._slots.fileno())
        self._came.set()

    def _look(self) -> None:
        if any(client.wants for client in self._clients):
            self._wanted.set()
        else:
            self._wanted.clear()
        self._watched = self._watched and bool(self._clients)

    def _make_room(self) -> None:
        if len(self._clients) < self._guard.limits.clients:
            return
        now_ns = self._clock.now_ns()
        slowest = max(self._clients, key=lambda client: client.pace.stuck_ns(now_ns))
        if slowest.pace.stuck_ns(now_ns) > YIELDS_NS:
            slowest.cut()


def serve(place: Place, secret: bytes, slots: Slots, commands: Connection, answers: Connection) -> None:
    """The process: answer ("open", port, tokens) or ("refused", why), and at the end ("ended", pictures lost).

    Whatever comes by ``commands``, and their end, ends it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    cv2.setNumThreads(1)
    with suppress(BrokenPipeError, ConnectionResetError):  # nobody listens
        asyncio.run(_serve(place, secret, slots, commands, answers))


async def _serve(place: Place, secret: bytes, slots: Slots, commands: Connection, answers: Connection) -> None:
    guard = Guard(secret)
    hub = Hub(slots, guard, Feed(lan=place.lan))
    routes = [
        *pages("viewer.html", ASSETS),
        web.get("/feed", hub.socket, allow_head=False),
        web.get("/favicon.ico", _no),
    ]
    try:
        listening = await listen(guard.application(routes), place.host, place.port, guard.limits)
    except OSError as error:
        answers.send(("refused", os.strerror(error.errno) if error.errno else str(error)))
        return
    answers.send(("open", listening.port, [guard.invite() for _ in range(place.screens)]))
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(commands.fileno(), over.set)
    tasks = [asyncio.ensure_future(work) for work in (over.wait(), hub.pump(), hub.watch())]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await listening.close()
    for each in done:
        each.result()
    answers.send(("ended", hub.lost))


async def _no(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)
