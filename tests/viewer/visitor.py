"""A server in a thread, and whoever knocks at it: whole requests, or any bytes."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from aiohttp import web

from edge3vt.viewer.guard import Guard, Listening, listen
from edge3vt.viewer.rules import Limits

GREETING = "only for those who were let in"
PATIENCE_S = 20.0


@dataclass
class Site:
    """A guarded page at ``port``."""

    guard: Guard
    port: int
    served: list[str]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """What comes back for a request as a browser of this page would send it, but for ``headers``."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, target, body or None, headers or {})
            return Answer.of(connection.getresponse())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """All that comes back for these bytes until the server hangs up, or greets."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            with suppress(OSError):
                connection.sendall(data)
            got = b""
            try:
                while GREETING.encode() not in got and (part := connection.recv(1 << 16)):
                    got += part
            except ConnectionError:
                pass
            return got

    def cookie(self, who: str = "") -> str:
        """A session's cookie, by a link of its own."""
        answer = self.ask("GET", f"/enter?token={self.guard.invite(who)}")
        assert answer.status == 200
        return answer.headers["Set-Cookie"].partition(";")[0]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, response: HTTPResponse) -> Answer:
        return cls(response.status, dict(response.getheaders()), response.read())


def knock(host: str, cookie: str = "", origin: str = "", target: str = "/feed", more: str = "") -> bytes:
    """The head of a WebSocket's handshake."""
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
    ]
    lines += [f"Cookie: {cookie}"] if cookie else []
    lines += [f"Origin: {origin}"] if origin else []
    lines += [more] if more else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@contextmanager
def loop_thread() -> Iterator[Callable[[Awaitable[Any]], Any]]:
    """An event loop in a thread; what it yields runs an awaitable there and waits for it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_S)

    try:
        yield run
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def site(limits: Limits | None = None, guard: type[Guard] = Guard) -> Iterator[Site]:
    """A guarded page, a POST and a WebSocket; ``served`` says what got through."""
    served: list[str] = []
    keeper = guard(b"s" * 32, limits)

    async def page(request: web.Request) -> web.StreamResponse:
        served.append("page")
        return web.Response(text=GREETING)

    async def kept(request: web.Request) -> web.StreamResponse:
        await request.json()
        served.append("post")
        return web.Response(text=keeper.who(request))

    async def feed(request: web.Request) -> web.StreamResponse:
        opened = await keeper.open_socket(request)
        served.append("socket")
        try:
            await opened.send_str(GREETING)
            async for message in opened:
                served.append(f"message of {len(message.data)}")
        finally:
            keeper.closed(opened)
        return opened

    routes = [
        web.get("/", page, allow_head=False),
        web.post("/kept", kept),
        web.get("/feed", feed, allow_head=False),
    ]
    with loop_thread() as run:
        app = keeper.application(routes)
        listening: Listening = run(listen(app, "127.0.0.1", 0, keeper.limits))
        try:
            yield Site(keeper, listening.port, served)
        finally:
            run(listening.close())
