"""What a request may be, without a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import ConfigError
from edge3vt.viewer.rules import Allowance, Asked, Limits, is_loopback, refusal

HERE = ("127.0.0.1", 8080)
LIMITS = Limits()
GET = Asked("GET", "/", HERE, ("127.0.0.1:8080",))
POST = replace(
    GET,
    method="POST",
    target="/kept",
    origins=("http://127.0.0.1:8080",),
    ours=True,
    content_type="application/json",
    has_body=True,
)


@pytest.mark.parametrize(
    "asked",
    [
        GET,
        POST,
        replace(GET, hosts=("localhost:8080",)),
        replace(GET, hosts=("LOCALHOST:8080",)),
        replace(GET, local=("192.168.1.7", 80), hosts=("192.168.1.7",)),
        replace(GET, local=("::1", 8080), hosts=("[::1]:8080",)),
        replace(GET, site="none"),
        replace(GET, site="same-origin"),
        replace(GET, target="/enter?token=x", site="cross-site", opens_page=True),
        replace(GET, upgrade=True, origins=("http://127.0.0.1:8080",)),
    ],
)
def test_what_the_own_page_asks_passes(asked: Asked) -> None:
    assert refusal(asked, LIMITS) == 0


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (replace(GET, hosts=()), 421),
        (replace(GET, hosts=("127.0.0.1:8080", "evil.example")), 421),
        (replace(GET, hosts=("127.0.0.1",)), 421),
        (replace(GET, hosts=("127.0.0.1:8081",)), 421),
        (replace(GET, hosts=("evil.example:8080",)), 421),
        (replace(GET, hosts=("127.0.0.1:8080.evil.example",)), 421),
        (replace(GET, local=("192.168.1.7", 8080), hosts=("localhost:8080",)), 421),
        (replace(GET, target="http://127.0.0.1:8080/"), 404),
        (replace(GET, target="/../etc/passwd"), 404),
        (replace(GET, target="/%2e%2e/etc/passwd"), 404),
        (replace(GET, target="//evil.example/"), 404),
        (replace(GET, target="/a\\b"), 404),
        (replace(GET, method="DELETE"), 405),
        (replace(GET, method="HEAD"), 405),
        (replace(GET, origins=("null",)), 403),
        (replace(GET, origins=("https://127.0.0.1:8080",)), 403),
        (replace(GET, origins=("http://localhost:8080",)), 403),  # not the name that it used
        (replace(GET, upgrade=True), 403),
        (replace(GET, site="same-site"), 403),  # a page of another port of this machine
        (replace(GET, site="cross-site"), 403),
        (replace(GET, target="/enter?token=x", site="cross-site"), 403),
        (replace(GET, has_body=True), 400),
        (replace(GET, header_bytes=(16 << 10) + 1), 431),
        (replace(POST, origins=()), 403),
        (replace(POST, ours=False), 403),
        (replace(POST, content_type="text/plain"), 415),
    ],
)
def test_what_others_ask_does_not(asked: Asked, status: int) -> None:
    assert refusal(asked, LIMITS) == status


def test_an_allowance_is_used_up_and_comes_back() -> None:
    allowance = Allowance(rate_hz=10, burst=3)
    assert [allowance.take(0) for _ in range(4)] == [True, True, True, False]
    assert not allowance.take(NS_PER_S // 11)
    assert allowance.take(2 * NS_PER_S // 10)
    assert [allowance.take(100 * NS_PER_S) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("host", "own"), [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False)]
)
def test_which_address_only_this_machine_reaches(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_a_name_is_no_address() -> None:
    with pytest.raises(ConfigError, match=r"'cart\.local' is no address; expected one as in 127"):
        is_loopback("cart.local")
