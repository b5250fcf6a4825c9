"""P12: at least forty hostile requests, none accepted; and a guard that forgets one of its checks is found."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from edge3vt.viewer import guard as guards
from edge3vt.viewer.guard import HEADERS, Guard
from edge3vt.viewer.rules import Asked, Limits
from tests.viewer.visitor import GREETING, PATIENCE_S, Site, knock, site

JSON = "application/json"
QUICK = Limits(requests_per_s=1e6, burst=1e6, header_s=0.4, answer_s=0.4)


@pytest.fixture(scope="module")
def here() -> Iterator[Site]:
    with site(QUICK) as opened:
        yield opened


@pytest.fixture(scope="module")
def cookie(here: Site) -> str:
    return here.cookie("reader-3")


def posted(here: Site, cookie: str, **others: str) -> dict[str, str]:
    """The headers of a request of our own page, but for others; an empty one is left out."""
    headers = {"Cookie": cookie, "Origin": f"http://{here.host}", "X-Edge3vt": "1", "Content-Type": JSON}
    named = {key.replace("_", "-"): value for key, value in others.items()}
    return {key: value for key, value in (headers | named).items() if value}


def test_a_link_lets_one_browser_in_once(here: Site) -> None:
    target = f"/enter?token={here.guard.invite('reader-1')}"
    answer = here.ask("GET", target)
    assert answer.status == 200
    assert b'url=/"' in answer.body
    name, _, rest = answer.headers["Set-Cookie"].partition("=")
    assert name == f"edge3vt-{here.port}"
    assert {part.strip() for part in rest.split(";")[1:]} == {"HttpOnly", "Path=/", "SameSite=Strict"}
    mine = {"Cookie": f"{name}={rest.partition(';')[0]}"}
    assert here.ask("GET", "/", mine).body.decode() == GREETING
    assert here.ask("GET", target).status == 403
    again = here.ask("GET", target, mine)
    assert (again.status, "Set-Cookie" in again.headers) == (200, False)


def test_the_own_page_can_post_and_open_a_socket_and_is_known(here: Site, cookie: str) -> None:
    assert here.ask("POST", "/kept", posted(here, cookie), b"{}").body == b"reader-3"
    with socket.create_connection(("127.0.0.1", here.port), timeout=PATIENCE_S) as connection:
        connection.sendall(knock(here.host, cookie, f"http://{here.host}"))
        got = b""
        while GREETING.encode() not in got:
            got += connection.recv(1 << 16)
    assert got.startswith(b"HTTP/1.1 101")


def test_a_session_outlives_the_server(here: Site, cookie: str) -> None:
    again = Guard(b"s" * 32)
    other = Guard(b"t" * 32)
    value = cookie.partition("=")[2]
    request: Any = FakeRequest({f"edge3vt-{here.port}": value}, here.port)
    assert again.who(request) == "reader-3"
    assert other.who(request) is None


def test_every_answer_is_dressed(here: Site, cookie: str) -> None:
    for target, headers, status in (("/", {"Cookie": cookie}, 200), ("/", {}, 403), ("/none", {"Cookie": cookie}, 404)):
        answer = here.ask("GET", target, headers)
        assert answer.status == status
        assert HEADERS.items() <= answer.headers.items()
        assert not [key for key in answer.headers if key.startswith("Access-Control")]
    assert "frame-ancestors 'none'" in HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]


@dataclass(frozen=True)
class FakeRequest:
    cookies: dict[str, str]
    port: int

    def get_extra_info(self, name: str) -> tuple[str, int]:
        assert name == "sockname"
        return "127.0.0.1", self.port


def get(
    here: Site, cookie: str, target: str = "/", host: str | None = "", more: str = "", method: str = "GET"
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [] if host is None else [f"Host: {host or here.host}"]
    lines += [f"Cookie: {cookie}"] if cookie else []
    lines += [more] if more else []
    return ("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode()


def post(here: Site, cookie: str, body: bytes = b"{}", target: str = "/kept", **others: str) -> bytes:
    headers = {"Host": here.host, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"{key}: {value}" for key, value in (headers | posted(here, cookie, **others)).items()]
    return ("\r\n".join([f"POST {target} HTTP/1.1", *lines]) + "\r\n\r\n").encode() + body


def changed(cookie: str) -> str:
    return cookie[:-1] + ("0" if cookie[-1] != "0" else "1")


Hostile = Callable[[Site, str], bytes]
HOSTILE: dict[str, Hostile] = {
    # without a session
    "no cookie": lambda s, c: get(s, ""),
    "a cookie of nothing": lambda s, c: get(s, f"edge3vt-{s.port}="),
    "a made-up cookie": lambda s, c: get(s, f"edge3vt-{s.port}=reader-3.abc.{'0' * 64}"),
    "a cookie with one digit changed": lambda s, c: get(s, changed(c)),
    "a cookie of another reader": lambda s, c: get(s, c.replace("reader-3", "reader-4")),
    "a cookie of another port": lambda s, c: get(s, c.replace(f"-{s.port}=", "-1=")),
    "a cookie that is no Latin": lambda s, c: get(s, f"edge3vt-{s.port}=\xff.\xfe.\xfd"),
    "no token": lambda s, c: get(s, "", "/enter"),
    "an empty token": lambda s, c: get(s, "", "/enter?token="),
    "a guessed token": lambda s, c: get(s, "", "/enter?token=" + "A" * 43),
    "two tokens": lambda s, c: get(s, "", "/enter?token=a&token=b"),
    "a token in a cookie": lambda s, c: get(s, f"token={s.guard.invite()}"),
    "a token at the front": lambda s, c: get(s, "", f"/?token={s.guard.invite()}"),
    # by another name (DNS rebinding), or from another page
    "another host": lambda s, c: get(s, c, host="evil.example"),
    "another host, our port": lambda s, c: get(s, c, host=f"evil.example:{s.port}"),
    "our port alone": lambda s, c: get(s, c, host=f":{s.port}"),
    "another port": lambda s, c: get(s, c, host="127.0.0.1:1"),
    "no host": lambda s, c: get(s, c, host=None),
    "two hosts": lambda s, c: get(s, c, more="Host: evil.example"),
    "a host with a user": lambda s, c: get(s, c, host=f"evil@{s.host}"),
    "another loopback address": lambda s, c: get(s, c, host=f"127.0.0.2:{s.port}"),
    "0.0.0.0 as host": lambda s, c: get(s, c, host=f"0.0.0.0:{s.port}"),
    "a forwarded host": lambda s, c: get(s, c, host="evil.example", more=f"X-Forwarded-Host: {s.host}"),
    "a page of another origin": lambda s, c: get(s, c, more="Origin: http://evil.example"),
    "a page of no origin": lambda s, c: get(s, c, more="Origin: null"),
    "embedded by another site": lambda s, c: get(s, c, more="Sec-Fetch-Site: cross-site"),
    "framed by another site": lambda s, c: get(
        s, c, more="Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe"
    ),
    "framed by another port": lambda s, c: get(
        s, c, more="Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe"
    ),
    "entered from a frame": lambda s, c: get(
        s,
        "",
        f"/enter?token={s.guard.invite()}",
        more="Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe",
    ),
    # paths
    "dots": lambda s, c: get(s, c, "/../../etc/passwd"),
    "coded dots": lambda s, c: get(s, c, "/%2e%2e/%2e%2e/etc/passwd"),
    "dots after a name": lambda s, c: get(s, c, "/feed/../../guard.py"),
    "backslashes": lambda s, c: get(s, c, "/..\\..\\etc\\passwd"),
    "a nought": lambda s, c: get(s, c, "/viewer.js%00.html"),
    "a proxy's target": lambda s, c: get(s, c, "http://evil.example/"),
    "two slashes": lambda s, c: get(s, c, "//evil.example/"),
    "a module of ours": lambda s, c: get(s, c, "/guard.py"),
    # methods
    "DELETE": lambda s, c: get(s, c, method="DELETE"),
    "PUT": lambda s, c: get(s, c, method="PUT"),
    "TRACE": lambda s, c: get(s, c, method="TRACE"),
    "CONNECT": lambda s, c: get(s, c, s.host, method="CONNECT"),
    "a preflight": lambda s, c: get(
        s, c, method="OPTIONS", more="Origin: http://evil.example\r\nAccess-Control-Request-Method: POST"
    ),
    "a method of its own": lambda s, c: get(s, c, method="BREW"),
    "POST to a page": lambda s, c: post(s, c, target="/"),
    # changes
    "POST without a session": lambda s, c: post(s, ""),
    "POST of another origin": lambda s, c: post(s, c, Origin="http://evil.example"),
    "POST without an origin": lambda s, c: post(s, c, Origin=""),
    "POST without our header": lambda s, c: post(s, c, X_Edge3vt=""),
    "POST of a form": lambda s, c: post(s, c, Content_Type="application/x-www-form-urlencoded"),
    "POST of plain text": lambda s, c: post(s, c, Content_Type="text/plain"),
    # sizes
    "a line too long": lambda s, c: get(s, c, "/?" + "a" * 9000),
    "a header too long": lambda s, c: get(s, c, more="X-Long: " + "a" * 9000),
    "headers too long together": lambda s, c: get(s, c, more="\r\n".join(f"X-{i}: {'a' * 1000}" for i in range(20))),
    "too many headers": lambda s, c: get(s, c, more="\r\n".join(f"X-{i}: a" for i in range(100))),
    "a body too long": lambda s, c: post(s, c, b'"' + b"a" * (65 << 10) + b'"'),
    "a page asked for with a body": lambda s, c: get(s, c, more="Content-Length: 5") + b"hello",
    "a length that lies": lambda s, c: get(s, c, more="Content-Length: -1"),
    "two lengths": lambda s, c: get(s, c, more="Content-Length: 0\r\nContent-Length: 44"),
    "a length and chunks": lambda s, c: (
        get(s, c, more="Content-Length: 4\r\nTransfer-Encoding: chunked") + b"0\r\n\r\n"
    ),
    # time
    "a head that never ends": lambda s, c: get(s, c)[:-2],
    "nothing at all": lambda s, c: b"",
    "a body that never ends": lambda s, c: post(s, c, b"{}" + b" " * 100)[:-50],
    # no HTTP
    "no HTTP": lambda s, c: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n" * 4,
    "HTTP 0.9": lambda s, c: b"GET /\r\n\r\n",
    "a line folded": lambda s, c: get(s, c, more="X-A: b\r\n c: d"),
    "a nought in a header": lambda s, c: get(s, c, more="X-A: b\x00c"),
    # sockets
    "a socket without a session": lambda s, c: knock(s.host, "", f"http://{s.host}"),
    "a socket without an origin": lambda s, c: knock(s.host, c),
    "a socket of another origin": lambda s, c: knock(s.host, c, "http://evil.example"),
    "a socket of another port": lambda s, c: knock(s.host, c, "http://127.0.0.1:1"),
    "a socket of no origin": lambda s, c: knock(s.host, c, "null"),
    "a socket of two origins": lambda s, c: knock(s.host, c, f"http://{s.host}", more="Origin: http://evil.example"),
    "a socket by another name": lambda s, c: knock(f"evil.example:{s.port}", c, f"http://evil.example:{s.port}"),
    "a socket with an old cookie": lambda s, c: knock(s.host, changed(c), f"http://{s.host}"),
    "a socket to a page": lambda s, c: knock(s.host, c, "http://evil.example", "/"),
    "a socket that is none": lambda s, c: get(s, c, "/feed"),
}


def accepted(here: Site, request: bytes) -> bool:
    """Whether anything of ours came back or was done for these bytes."""
    before = len(here.served)
    answer = here.raw(request)
    head = answer.partition(b"\r\n")[0]
    let_in = b" 200 " in head or b" 101 " in head or b"Set-Cookie" in answer or GREETING.encode() in answer
    return let_in or len(here.served) != before


def test_there_are_forty() -> None:
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_is_not_accepted(name: str, here: Site, cookie: str) -> None:
    assert not accepted(here, HOSTILE[name](here, cookie))
    assert here.ask("GET", "/", {"Cookie": cookie}).status == 200  # and the server is none the worse


def test_a_used_link_and_a_message_too_long_are_refused(here: Site, cookie: str) -> None:
    target = f"/enter?token={here.guard.invite()}"
    assert here.ask("GET", target).status == 200
    assert not accepted(here, get(here, "", target))
    served = len(here.served)
    frame = b"\x82\xff" + (1 << 20).to_bytes(8, "big") + b"mask" + b"x" * (1 << 20)
    here.raw(knock(here.host, cookie, f"http://{here.host}") + frame)
    assert here.served[served:] == ["socket"]


def test_a_stranger_who_asks_too_often_does_not_shut_out_the_own_page() -> None:
    with site(replace(QUICK, requests_per_s=0.001, burst=5)) as here:
        cookie = here.cookie()
        statuses = [here.ask("GET", "/").status for _ in range(8)]
        assert statuses[-2:] == [429, 429]
        assert here.ask("GET", "/", {"Cookie": cookie}).status == 200


def test_places_and_connections_are_counted() -> None:
    limits = replace(QUICK, clients=2, connections=4, header_s=PATIENCE_S)
    with site(limits) as here, ExitStack() as stack:
        mine = knock(here.host, here.cookie(), f"http://{here.host}")

        def connect() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", here.port), timeout=PATIENCE_S))

        for _ in range(2):
            opened = connect()
            opened.sendall(mine)
            assert b" 101 " in opened.recv(1 << 16)
        assert b" 503 " in here.raw(mine).partition(b"\r\n")[0]
        for _ in range(2):
            connect()
        assert here.raw(mine) == b""


BUGS: dict[str, tuple[str, Callable[[Asked], Asked]]] = {
    "hosts are not looked at": (
        "another host",
        lambda asked: replace(asked, hosts=(f"{asked.local[0]}:{asked.local[1]}",)),
    ),
    "origins are not looked at": (
        "a socket of another origin",
        lambda asked: replace(asked, origins=(f"http://{asked.hosts[0]}",) if asked.hosts else ()),
    ),
    "frames are not looked at": ("framed by another site", lambda asked: replace(asked, site="")),
    "our header is not looked at": ("POST without our header", lambda asked: replace(asked, ours=True)),
    "the kind of body is not looked at": ("POST of a form", lambda asked: replace(asked, content_type=JSON)),
    "sizes are not looked at": ("headers too long together", lambda asked: replace(asked, header_bytes=0)),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_guard_that_does_not_look_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, blind = BUGS[bug]
    seen = guards._asked
    monkeypatch.setattr(guards, "_asked", lambda request: blind(seen(request)))
    with site(QUICK) as here:
        assert accepted(here, HOSTILE[name](here, here.cookie("reader-3")))


class Trusting(Guard):
    """It lets everyone in who has a cookie of the right name."""

    def who(self, request: Any) -> str | None:
        return request.cookies.get(f"edge3vt-{request.get_extra_info('sockname')[1]}")


class Forgetful(Guard):
    """Its links stay good."""

    def _enter(self, request: Any, front: str) -> Any:
        kept = dict(self._links)
        answer = super()._enter(request, front)
        self._links.update(kept)
        return answer


def test_a_guard_that_does_not_check_cookies_or_links_is_found() -> None:
    with site(QUICK, Trusting) as here:
        assert accepted(here, HOSTILE["a made-up cookie"](here, here.cookie()))
    with site(QUICK, Forgetful) as here:
        target = f"/enter?token={here.guard.invite()}"
        assert here.ask("GET", target).status == 200
        assert accepted(here, get(here, "", target))


def test_secrets_are_compared_in_constant_time() -> None:
    assert "compare_digest" in inspect.getsource(Guard.who)
