from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge3vt.core.errors import DataError
from edge3vt.engine.place import clear, locked, parts, put, recover, write

HOLD = "import sys; from pathlib import Path; from edge3vt.engine.place import locked\n"
HOLD += "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


def made(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "file").write_text(text)


def test_a_lock_is_held_by_one_process_and_ends_with_it(tmp_path: Path) -> None:
    place = tmp_path / "a"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with locked(place, wait=False) as mine:
            assert not mine
        got = threading.Event()

        def wait() -> None:
            with locked(place):
                got.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not got.wait(0.1)
    finally:
        holder.kill()
        holder.communicate()
    waiting.join(10)
    assert got.is_set()
    assert not list(tmp_path.iterdir())


def test_threads_take_turns(tmp_path: Path) -> None:
    inside, most = 0, []

    def work() -> None:
        nonlocal inside
        for _ in range(20):
            with locked(tmp_path / "a"):
                inside += 1
                most.append(inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80
    assert not list(tmp_path.iterdir())


def test_a_new_folder_takes_the_place_of_the_old(tmp_path: Path) -> None:
    place = tmp_path / "a"
    made(place, "old")
    made(parts(place)[0], "new")
    with locked(place):
        put(place)
    assert (place / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ({"part": "half"}, None),
        ({"part": "half", "": "old"}, "old"),
        ({"part": "new", "old": "old"}, "old"),  # killed between the two renames
        ({"old": "old", "": "new"}, "new"),
        ({"old": "old"}, "old"),
    ],
)
def test_what_a_killed_writer_left_is_put_right(tmp_path: Path, there: dict[str, str], found: str | None) -> None:
    place = tmp_path / "a"
    for name, text in there.items():
        made(tmp_path / f".a.{name}" if name else place, text)
    (tmp_path / ".a.lock").touch()
    recover(place)
    assert [path.name for path in tmp_path.iterdir()] == ["a"] * (found is not None)
    assert found is None or (place / "file").read_text() == found


def test_nothing_is_touched_while_a_writer_is_at_work(tmp_path: Path) -> None:
    made(tmp_path / ".a.part", "half")
    with locked(tmp_path / "a"):
        recover(tmp_path / "a")
        assert (tmp_path / ".a.part" / "file").exists()
        clear(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_file_is_written_whole_with_its_mode(tmp_path: Path) -> None:
    (tmp_path / ".key.part").write_text("half")
    write(tmp_path / "key", b"secret", 0o600)
    assert (tmp_path / "key").read_bytes() == b"secret"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    with pytest.raises(DataError, match="cannot be locked"):
        write(tmp_path / "gone" / "key", b"")
