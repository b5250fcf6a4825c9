"""What arrives at a socket like systemd's, and a unit that systemd and the command line accept."""

from __future__ import annotations

import configparser
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from edge3vt.cli.main import app
from edge3vt.core.clock import ManualClock
from edge3vt.stream.watchdog import UNIT, Watchdog

ANALYZE = shutil.which("systemd-analyze")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.settimeout(0.2)
        yield bound


def heard(listener: socket.socket) -> list[str]:
    said = []
    while True:
        try:
            said.append(listener.recv(100).decode())
        except TimeoutError:
            return said


def test_what_it_says_is_heard_and_alive_only_after_a_frame(listener: socket.socket, tmp_path: Path) -> None:
    listener.bind(str(tmp_path / "notify"))
    clock = ManualClock()
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000", "PATH": "/bin"}
    watchdog = Watchdog(clock, environment)
    watchdog.ready()
    clock.advance_ms(10_000)  # time alone says nothing
    assert heard(listener) == ["READY=1"]
    for _ in range(180):
        watchdog.delivered()
        clock.advance_ms(1000 / 60)
    assert heard(listener) == ["WATCHDOG=1"] * 4
    watchdog.stopping()
    watchdog.close()
    assert heard(listener) == ["STOPPING=1"]
    assert environment == {"PATH": "/bin"}
    assert watchdog.lost == 0


def test_an_abstract_address_works(listener: socket.socket) -> None:
    name = f"edge3vt-test-{os.getpid()}"
    listener.bind(f"\0{name}")
    watchdog = Watchdog(ManualClock(), {"NOTIFY_SOCKET": f"@{name}"})
    watchdog.ready()
    watchdog.delivered()  # nobody asked for it
    watchdog.close()
    assert heard(listener) == ["READY=1"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_where_nobody_listens_nothing_happens(environment: dict[str, str]) -> None:
    watchdog = Watchdog(ManualClock(), environment | {"WATCHDOG_USEC": "3000000"})
    watchdog.ready()
    watchdog.delivered()
    watchdog.close()
    watchdog.stopping()
    assert watchdog.lost == (2 if "/nowhere/notify" in environment.values() else 0)


def test_the_watchdog_of_another_process_is_left_alone(listener: socket.socket, tmp_path: Path) -> None:
    listener.bind(str(tmp_path / "notify"))
    watchdog = Watchdog(
        ManualClock(),
        {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"},
    )
    watchdog.delivered()
    watchdog.close()
    assert heard(listener) == []


def test_a_listener_that_is_full_blocks_nothing(listener: socket.socket, tmp_path: Path) -> None:
    listener.bind(str(tmp_path / "notify"))
    watchdog = Watchdog(ManualClock(), {"NOTIFY_SOCKET": str(tmp_path / "notify")})
    for _ in range(10_000):
        watchdog.ready()
    watchdog.close()
    assert watchdog.lost > 0


def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return parser


def parse(command: list[str]) -> None:
    """Raises what the command line raises; runs nothing."""
    group = typer.main.get_command(app)
    verb, *arguments = command
    with group.make_context("edge3vt", command, resilient_parsing=True) as context:
        chosen = group.get_command(context, verb)  # type: ignore[attr-defined]
        assert chosen is not None, f"no verb is named {verb}"
        with chosen.make_context(verb, arguments, parent=context):
            pass


def test_the_command_of_the_unit_parses() -> None:
    service = unit()["Service"]
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    values = dict(line.removeprefix("Environment=").split("=", 1) for line in lines if line.startswith("Environment="))
    for key in ("ExecStart", "ExecStartPre", "ExecReload"):
        if key in service:
            text = service[key]
            for name, value in values.items():
                text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
            program, *command = shlex.split(text)
            assert Path(program).name == "edge3vt"
            assert "$" not in text
            parse(command)
    assert "ExecStart" in service


def test_a_command_that_does_not_parse_would_be_seen() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["run", "--planted", "clip.dcm"])
    with pytest.raises(AssertionError, match="no verb"):
        parse(["planted"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("Restart", "always"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("IPAddressDeny", "any"),
        ("IPAddressAllow", "localhost"),
    ],
)
def test_the_unit_is_hardened(key: str, value: str) -> None:
    assert unit()["Service"][key] == value
    assert int(unit()["Service"]["WatchdogSec"]) <= 5
    assert unit()["Service"]["MemoryMax"].endswith("G")


def verify(text: str, folder: Path) -> str:
    """What systemd says against the unit; the program in it is one that is there."""
    path = folder / "edge3vt.service"
    path.write_text(text.replace("/opt/edge3vt/bin/edge3vt", "/bin/true"), encoding="utf-8")
    assert ANALYZE is not None
    done = subprocess.run([ANALYZE, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
    return "\n".join(line for line in done.stderr.splitlines() if "edge3vt.service" in line)


@pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here")
def test_systemd_accepts_the_unit_and_sees_a_planted_error(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert verify(text, tmp_path) == ""
    assert "Planted" in verify(text.replace("Restart=always", "Planted=always"), tmp_path)
