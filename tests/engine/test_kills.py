"""Builds and imports that are killed leave no half engine, and nothing beside it after the next start."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLANTED = (
    "from edge3vt.engine import place, slots, open as opening, keyring; import sys; from tests.engine import kill; "
)
CALL = "print(*kill.run(4, by='step', seed=2, probe=False)[1], sep='\\n')"


def test_twenty_kills() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.kill", "20"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    killed = re.fullmatch(r"(\d+) of 20 killed, 0 faults\n", done.stdout)
    assert killed is not None, done.stdout + done.stderr
    assert int(killed[1]) >= 15  # the others were done before their time came


def test_a_start_that_puts_nothing_right_is_seen() -> None:
    blind = "kill.recover = slots.recover = opening.recover = keyring.recover = place.clear = lambda *_: None; "
    command = [sys.executable, "-c", PLANTED + blind + CALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ": left " in done.stdout, done.stderr
