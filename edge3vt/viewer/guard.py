"""Who may open a page of this machine: one browser for each link, from this machine's own address, a little at a time.

A page in any other tab can make the operator's browser send requests here, and a name can be pointed at 127.0.0.1
(DNS rebinding). So every request must name the very address it came in by, its origin must be that address, and but for
the first it must carry a cookie that only a link, good once, has given.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from aiohttp import web

from edge3vt.core.clock import Clock, SystemClock
from edge3vt.core.errors import ConfigError
from edge3vt.viewer.rules import ENTRY, Allowance, Asked, Limits, refusal

OURS = "X-Edge3vt"
"""A header that a page of another origin cannot send without asking first, which nobody here answers."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "edge3vt",
}
GOODBYE_S = 0.3
STRANGERS = 256  # addresses whose rate is remembered
_WHO = re.compile(r"[A-Za-z0-9_-]{0,64}")
_ENTER = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={front}"><title>edge3vt</title>'
    '<a href="{front}">edge3vt</a>'
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """The keys of one server. ``secret``: 32 random bytes; sessions outlive a server that is opened again with them."""

    def __init__(self, secret: bytes, limits: Limits | None = None, clock: Clock | None = None) -> None:
        self._secret, self._clock = secret, clock or SystemClock()
        self.limits = limits or Limits()
        self._links: dict[bytes, str] = {}
        self._rates: OrderedDict[str, Allowance] = OrderedDict()
        self._sockets: set[web.WebSocketResponse] = set()

    def invite(self, who: str = "") -> str:
        """A token of 256 bits that lets one browser in, once: for ``/enter?token=``. who: what ``who`` then returns."""
        if not _WHO.fullmatch(who):
            raise ConfigError(f"'{who}' cannot name a session; expected letters, digits, - and _, 64 at most")
        token = secrets.token_urlsafe(32)
        self._links[hashlib.sha256(token.encode()).digest()] = who
        return token

    def application(self, routes: Iterable[web.RouteDef], *, front: str = "/") -> web.Application:
        """What serves ``routes`` to those who came in by a link; each handler finds their session's ``who``."""

        async def enter(request: web.Request) -> web.StreamResponse:
            return self._enter(request, front)

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._watch(request, handler)

        app = web.Application(middlewares=[watch], client_max_size=self.limits.body_bytes)
        app.router.add_get(ENTRY, enter, allow_head=False)
        app.router.add_routes(routes)
        app.on_response_prepare.append(_dress)
        app.on_shutdown.append(self._end)
        return app

    def who(self, request: web.Request) -> str | None:
        """Whose session a request belongs to, None for nobody's."""
        who, _, rest = request.cookies.get(_cookie_name(request), "").partition(".")
        nonce, _, mark = rest.partition(".")
        sound = hmac.compare_digest(mark.encode("utf-8", "replace"), self._mark(who, nonce).encode())
        return who if sound else None

    async def open_socket(self, request: web.Request) -> web.WebSocketResponse:
        """The request as a WebSocket; ``closed`` gives it back. Raises HTTPServiceUnavailable when all are taken."""
        if len(self._sockets) >= self.limits.clients:
            raise web.HTTPServiceUnavailable(text="all places are taken")
        opened = web.WebSocketResponse(max_msg_size=self.limits.socket_bytes, compress=False, timeout=1.0)
        if not opened.can_prepare(request).ok:
            raise web.HTTPBadRequest(text="this address speaks WebSocket")
        self._sockets.add(opened)
        try:
            await opened.prepare(request)
        except BaseException:
            self._sockets.discard(opened)
            raise
        return opened

    def closed(self, opened: web.WebSocketResponse) -> None:
        """A socket of ``open_socket`` has ended."""
        self._sockets.discard(opened)

    async def _end(self, app: web.Application) -> None:
        """Say good-bye to those who hear it; the rest is cut off."""
        goodbyes = [each.close(code=1001) for each in self._sockets]
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(*goodbyes, return_exceptions=True), GOODBYE_S)

    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer only whom it may concern."""
        asked = _asked(request)
        if status := refusal(asked, self.limits):
            return _refused(request, status)
        who = self.who(request)
        session = request.cookies[_cookie_name(request)] if who is not None else ""
        if not self._may(session or f"stranger {request.remote}"):
            return _refused(request, 429)
        if who is None and request.path != ENTRY:
            return _refused(request, 403)
        try:
            if asked.upgrade:
                return await handler(request)
            return await asyncio.wait_for(handler(request), self.limits.answer_s)
        except web.HTTPException as other:
            other.force_close()
            raise

    def _may(self, name: str) -> bool:
        rate = self._rates.setdefault(name, Allowance(self.limits.requests_per_s, self.limits.burst))
        self._rates.move_to_end(name)
        if len(self._rates) > STRANGERS:
            self._rates.popitem(last=False)
        return rate.take(self._clock.now_ns())

    def _enter(self, request: web.Request, front: str) -> web.StreamResponse:
        """A session for a token, which ends with it. A page, for a redirect from elsewhere brings no Strict cookie."""
        page = web.Response(text=_ENTER.format(front=front), content_type="text/html")
        if self.who(request) is not None:
            return page
        who = self._links.pop(hashlib.sha256(request.query.get("token", "").encode("utf-8", "replace")).digest(), None)
        if who is None:
            return _refused(request, 403)
        nonce = secrets.token_urlsafe(16)
        value = f"{who}.{nonce}.{self._mark(who, nonce)}"
        page.set_cookie(_cookie_name(request), value, path="/", httponly=True, samesite="Strict")
        return page

    def _mark(self, who: str, nonce: str) -> str:
        text = f"{who}.{nonce}".encode("utf-8", "replace")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


class Listening:
    """A server at work: ``port`` is the one it got."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server) -> None:
        self._runner, self._server = runner, server
        self.port: int = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        await self._runner.cleanup()


async def listen(app: web.Application, host: str, port: int, limits: Limits | None = None) -> Listening:
    """Serve ``app`` on ``host``:``port``, 0 for any. Raises OSError where that cannot be had."""
    limits = limits or Limits()
    runner = web.AppRunner(
        app,
        access_log=None,  # it would hold tokens
        shutdown_timeout=GOODBYE_S,
        keepalive_timeout=limits.header_s,
        lingering_time=1.0,
        max_line_size=limits.line_bytes,
        max_field_size=limits.header_bytes // 2,
        max_headers=64,
    )
    await runner.setup()
    served = runner.server
    assert served is not None

    made = served.connection_made

    def counted(handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        made(handler, transport)
        if len(served.connections) > limits.connections:
            transport.abort()

    served.connection_made = counted  # type: ignore[method-assign]
    try:
        host = "127.0.0.1" if host == "localhost" else host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = await asyncio.get_running_loop().create_server(served, host, port, family=family)
    except OSError:
        await runner.cleanup()
        raise
    return Listening(runner, server)


def _asked(request: web.Request) -> Asked:
    headers, name = request.headers, request.get_extra_info("sockname") or ("", 0)
    mode, dest = headers.get("Sec-Fetch-Mode", ""), headers.get("Sec-Fetch-Dest", "")
    return Asked(
        method=request.method,
        target=request.raw_path,
        local=(str(name[0]), int(name[1])),
        hosts=tuple(headers.getall("Host", ())),
        origins=tuple(headers.getall("Origin", ())),
        site=headers.get("Sec-Fetch-Site", ""),
        opens_page=(mode, dest) == ("navigate", "document"),
        upgrade="Upgrade" in headers,
        ours=headers.get(OURS) == "1",
        content_type=request.content_type,
        has_body="Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0",
        header_bytes=sum(len(key) + len(value) + 4 for key, value in request.raw_headers),
    )


def _refused(request: web.Request, status: int) -> web.Response:
    """One line for whoever stands before it, the same for all that are not let in."""
    text = "edge3vt: refused\n"
    if status == 403:
        text = (
            "edge3vt: open the link that was printed when this page was started; each link lets one browser in, once\n"
        )
    answer = web.Response(status=status, text=text)
    answer.force_close()
    return answer


def _cookie_name(request: web.Request) -> str:
    """Cookies know no ports: two servers on one machine must not take each other's."""
    return f"edge3vt-{(request.get_extra_info('sockname') or ('', 0))[1]}"


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
