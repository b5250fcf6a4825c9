"""Where a viewer listens, and what that address is called."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a viewer is to listen: ``port`` 0 for any. lan: the network may look. screens: browsers that get a link."""

    host: str = "127.0.0.1"
    port: int = 0
    lan: bool = False
    screens: int = 1


def authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def own_address(anywhere: str) -> str:
    """The address that this machine sends from; nothing is sent to find it."""
    family, elsewhere = (socket.AF_INET6, "2001:db8::1") if ":" in anywhere else (socket.AF_INET, "192.0.2.1")
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as asking, suppress(OSError):
        asking.connect((elsewhere, 9))
        return str(asking.getsockname()[0])
    return "::1" if ":" in anywhere else "127.0.0.1"
