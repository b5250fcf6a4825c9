from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge3vt.core.errors import ArtifactError
from edge3vt.engine import probe as module
from edge3vt.engine.manifest import ENGINE
from edge3vt.engine.probe import probe


def test_a_sound_engine_passes(engine: Path) -> None:
    probe(engine)


def test_what_the_child_said_comes_back_in_one_line(engine: Path) -> None:
    (engine / ENGINE).write_bytes(b"")
    with pytest.raises(
        ArtifactError, match=r"small: the engine does not open: .*the file is empty \(0 bytes\)"
    ) as caught:
        probe(engine)
    assert "\n" not in str(caught.value)


def test_a_crash_of_the_child_is_an_error_of_ours_not_a_crash(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = subprocess.run

    def crashing(command: list[str], **options: object) -> object:
        return ran([command[0], "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", crashing)
    with pytest.raises(ArtifactError, match=r"small: the runtime crashed on it \(signal 11\); try the recipe's other"):
        probe(engine)


def test_a_child_that_hangs_is_given_up(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT_S", 0.01)
    with pytest.raises(ArtifactError, match=r"did not open in 0\.01 s"):
        probe(engine)
