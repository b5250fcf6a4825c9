"""One holder at a time, whatever ends it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from edge3vt.core import lock as module
from edge3vt.core.errors import BackendMissingError, ConfigError
from edge3vt.core.lock import Claim

SPAWN = multiprocessing.get_context("spawn")
ROUNDS, RACERS = 20, 5


def test_the_second_is_told_who_holds_it_and_gets_it_afterwards(tmp_path: Path) -> None:
    with Claim("/dev/video0", folder=tmp_path), pytest.raises(BackendMissingError) as caught:
        Claim("/dev/video0", folder=tmp_path)
    assert str(caught.value) == f"/dev/video0: it is in use by process {os.getpid()}; end that one, or use another"
    assert caught.value.exit_code == 3
    again = Claim("/dev/video0", folder=tmp_path)
    with Claim("/dev/video1", folder=tmp_path):
        again.close()
        again.close()


def test_a_thing_can_have_several_places(tmp_path: Path) -> None:
    with Claim("GPU 0", places=2, folder=tmp_path), Claim("GPU 0", places=2, folder=tmp_path):
        with pytest.raises(BackendMissingError, match=f"all 2 places are in use by process {os.getpid()}, "):
            Claim("GPU 0", places=2, folder=tmp_path)
        with Claim("GPU 0", places=3, folder=tmp_path):
            pass
    with pytest.raises(ConfigError, match="at least 1"):
        Claim("GPU 0", places=0, folder=tmp_path)


def test_the_end_of_the_holder_frees_it_and_a_child_does_not_keep_it(tmp_path: Path) -> None:
    code = "from edge3vt.core.lock import Claim; import os, pathlib, subprocess\n"
    code += f"Claim.kept = Claim('card', folder=pathlib.Path({str(tmp_path)!r}))\n"
    code += "subprocess.Popen(['sleep', '5'], stdout=subprocess.DEVNULL, close_fds=False)\n"
    code += "print(os.getpid(), flush=True); os.kill(os.getpid(), 9)\n"
    ended = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)
    assert ended.returncode == -9
    assert (tmp_path / "edge3vt-card.lock").read_text().split() == ended.stdout.decode().split()
    with Claim("card", folder=tmp_path):
        assert (tmp_path / "edge3vt-card.lock").read_text().split() == [str(os.getpid())]


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "edge3vt-card.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(BackendMissingError, match="cannot be opened to lock it"):
        Claim("card", folder=tmp_path)
    assert not (tmp_path / "victim").exists()


def test_who_holds_it_is_asked_of_the_kernel_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Claim("card", folder=tmp_path):
        (tmp_path / "edge3vt-card.lock").write_text("12345\n")  # as one that was killed left it
        with pytest.raises(BackendMissingError, match=f"by process {os.getpid()};"):
            Claim("card", folder=tmp_path)
        monkeypatch.setattr(module, "Path", lambda path: tmp_path / "nothing")
        with pytest.raises(BackendMissingError, match="by process 12345;"):
            Claim("card", folder=tmp_path)


def race(folder: str, told: Connection, together: Barrier, planted: bool) -> None:
    """Claim in every round; tells who won, or what the loser was told."""
    if planted:
        module.fcntl.flock = lambda *a: None  # type: ignore[assignment]
    for number in range(ROUNDS):
        together.wait()
        try:
            claim: Claim | None = Claim(f"round {number}", folder=Path(folder))
            told.send(os.getpid())
        except BackendMissingError as error:
            claim = None
            told.send(str(error))
        together.wait()
        if claim is not None:
            claim.close()


@pytest.mark.parametrize("planted", [False, True])
def test_of_five_at_once_exactly_one_wins_each_time(tmp_path: Path, planted: bool) -> None:
    together = SPAWN.Barrier(RACERS)
    pipes = [SPAWN.Pipe(duplex=False) for _ in range(RACERS)]
    racers = [
        SPAWN.Process(target=race, args=(str(tmp_path), theirs, together, planted), daemon=True) for _, theirs in pipes
    ]
    for racer in racers:
        racer.start()
    winners = []
    for _ in range(ROUNDS):
        said = [ours.recv() for ours, _ in pipes]
        won = [word for word in said if isinstance(word, int)]
        winners.append(len(won))
        if not planted:
            assert all(f"in use by process {won[0]};" in word for word in said if isinstance(word, str))
    for racer in racers:
        racer.join(20)
        racer.close()
    for ours, theirs in pipes:
        ours.close()
        theirs.close()
    assert (winners == [1] * ROUNDS) is not planted
