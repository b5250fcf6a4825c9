"""What a request may be, whoever sends it: its size, the names it uses, where it comes from, and how often."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import ConfigError

ENTRY = "/enter"
_PATH = re.compile(r"(/[a-z0-9][a-z0-9_.-]*)*/?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """What whoever asks may take: sizes, rates, connections and time."""

    clients: int = 8  # WebSockets at once
    connections: int = 64
    requests_per_s: float = 20.0
    burst: float = 40.0
    line_bytes: int = 4096
    header_bytes: int = 16 << 10
    body_bytes: int = 64 << 10
    socket_bytes: int = 64 << 10  # of a message that comes in
    header_s: float = 10.0  # for the head of a request, and between two
    answer_s: float = 10.0


@dataclass(slots=True)
class Allowance:
    """So many a second, and ``burst`` at once."""

    rate_hz: float
    burst: float
    _left: float = field(default=-1.0)
    _at_ns: int = 0

    def take(self, now_ns: int) -> bool:
        """Whether one more may pass now."""
        gained = (now_ns - self._at_ns) * self.rate_hz / NS_PER_S
        self._left = self.burst if self._left < 0 else min(self._left + gained, self.burst)
        self._at_ns = now_ns
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of itself. local: (address, port) that it came in by."""

    method: str
    target: str
    local: tuple[str, int]
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    site: str = ""  # Sec-Fetch-Site, where the browser says it
    opens_page: bool = False  # Sec-Fetch-Mode and -Dest: a link was followed, nothing is embedded
    upgrade: bool = False
    ours: bool = False
    content_type: str = ""
    has_body: bool = False
    header_bytes: int = 0


def refusal(asked: Asked, limits: Limits) -> int:
    """The status that a request is refused with whoever sends it, 0 for none."""
    path = asked.target.partition("?")[0]
    if asked.header_bytes > limits.header_bytes:
        return 431
    if len(asked.hosts) != 1 or asked.hosts[0].lower() not in _names(asked.local):
        return 421
    if not path.startswith("/") or not _PATH.fullmatch(path):
        return 404
    if asked.method not in ("GET", "POST"):
        return 405
    own = f"http://{asked.hosts[0].lower()}"
    if any(origin != own for origin in asked.origins):
        return 403
    if (asked.upgrade or asked.method == "POST") and len(asked.origins) != 1:
        return 403
    entering = path == ENTRY and asked.opens_page  # a link may be followed from anywhere
    if asked.site not in ("", "same-origin", "none") and not entering:
        return 403
    if asked.method == "GET":
        return 400 if asked.has_body else 0
    if not asked.ours:
        return 403
    return 0 if asked.content_type == "application/json" else 415


def _names(local: tuple[str, int]) -> set[str]:
    """What a request may call the address that it came in by: the address, never a name but localhost."""
    address, port = local
    hosts = {f"[{address}]" if ":" in address else address}
    if is_loopback(address):
        hosts.add("localhost")
    return {f"{host}:{port}" for host in hosts} | (hosts if port == 80 else set())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it. Raises ConfigError for what is no address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise ConfigError(f"'{host}' is no address; expected one as in 127.0.0.1, or localhost") from None
