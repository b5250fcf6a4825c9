"""Whole lines, bounded files, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time  # noqa: TID251 - waits for a child of its own
from pathlib import Path

import pytest

from edge3vt.core.errors import DataError
from edge3vt.stream import rows
from edge3vt.stream.rows import Rows, numbered

WRITER = """
import sys
from pathlib import Path
from edge3vt.stream.rows import Rows
rows, i = Rows(Path(sys.argv[1]), max_bytes=1 << 14), 0
while True:
    rows.write({"i": i, "pad": "x" * 200})
    i += 1
"""


def read(path: Path) -> list[dict[str, int]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_come_back_and_their_files_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "stream.jsonl"
    out = Rows(path, max_bytes=1000, kept=3)
    for i in range(500):
        out.write({"i": i})
    out.close()
    files = [numbered(path, 2), numbered(path, 1), path]
    assert sorted(path.parent.iterdir()) == sorted(files)
    assert all(file.stat().st_size <= 1000 for file in files)
    kept = [row["i"] for file in files for row in read(file)]
    assert kept == list(range(kept[0], 500))
    assert out.lost == 0


def test_one_file_alone_is_bounded_too(tmp_path: Path) -> None:
    out = Rows(tmp_path / "a.jsonl", max_bytes=100, kept=1)
    for i in range(50):
        out.write({"i": i})
    out.close()
    assert [file.stat().st_size <= 100 for file in tmp_path.iterdir()] == [True]


@pytest.mark.parametrize("torn", [b'{"i": 1', b"", b'{"i": 1}\n{"i"'])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"i": 0}\n' + torn)
    out = Rows(path)
    out.write({"i": 2})
    out.close()
    assert [row["i"] for row in read(path)] in ([0, 2], [0, 1, 2])


def test_without_mending_the_line_would_be_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"i"')
    monkeypatch.setattr(rows, "mend", lambda handle: os.fstat(handle).st_size)
    Rows(path).write({"i": 2})
    with pytest.raises(json.JSONDecodeError):
        read(path)


def size_of(path: Path) -> int:
    """0 where it is not there, or is just being renamed."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_kills_lose_at_most_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for round_ in range(4):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        size = size_of(path)
        for _ in range(2000):
            time.sleep(0.005)
            if size_of(path) not in (0, size):
                break
        time.sleep(0.003 * round_)
        child.send_signal(signal.SIGKILL)
        child.wait()
        for file in tmp_path.iterdir():
            *whole, last = file.read_bytes().split(b"\n")
            assert last == b""
            for line in whole:
                json.loads(line)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_counted(tmp_path: Path) -> None:
    out = Rows(Path("/dev/full"))
    out.write({"i": 1})
    out.close()
    assert out.lost == 1


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be written .*; choose another output"):
        Rows(tmp_path)
