"""Writers that are killed leave what was finished, and nothing half after the next start."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.stream.kill import SCENES

ROOT = Path(__file__).parents[2]
PLANTED = """
import os, sys
from edge3vt.core import documents
from edge3vt.core.documents import to_json
from edge3vt.stream.sinks import folder
from tests.stream import kill

def in_place(document, path):
    path.write_bytes(b"")
    (path.parent / "x").mkdir(exist_ok=True)
    path.write_bytes(to_json(document).encode())

def plant(name):
    match name:
        case "record":
            documents._left = lambda folder: {}
        case "new folder":
            folder.FolderSink._sweep = lambda sink: None
        case "recording":
            kill.salvage_all = lambda path: []
        case _:
            kill.write_json = in_place

for name in sys.argv[1:]:
    def work():
        plant(name)
        print(name, *kill.run(name if name in kill.SCENES else "record", 6, seed=1)[1], sep=": ", flush=True)
    kill.child(work)
"""


def printed(*command: str) -> str:
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def check(kills: int) -> None:
    said = printed("-m", "tests.stream.kill", str(kills))
    found = re.findall(rf"^(.+): (\d+) of {kills} killed, 0 faults$", said, re.MULTILINE)
    assert [name for name, _ in found] == list(SCENES), said
    assert sum(int(died) for _, died in found) >= kills * len(SCENES) / 2  # the others were done before their time came


@pytest.mark.skipif(find_spec("highdicom") is None, reason="highdicom is not installed")
def test_two_kills_of_every_writer() -> None:
    check(2)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("highdicom") is None, reason="highdicom is not installed")
def test_fifty_kills_of_every_writer() -> None:
    check(50)


def test_writers_that_put_nothing_right_are_seen() -> None:
    seen = {
        "record": r"left \.a\.\d+\.part\.json",
        "new folder": r"left \.out\.\d+\.part",
        "recording": r"left \['a\.\d+\.recording",
        "written in place": "the next start failed",
    }
    said = printed("-c", PLANTED, *seen)
    for name, fault in seen.items():
        assert re.search(f"^{name}: .*{fault}", said, re.MULTILINE), said
