from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import pytest

from edge3vt.core import machine
from edge3vt.core.documents import parse_json, to_json
from edge3vt.core.machine import Machine, this_machine, usable_cores


def test_this_machine_is_a_document() -> None:
    found = this_machine()
    assert parse_json(Machine, to_json(found), where="here") == found
    assert found.cpu
    assert found.memory_gib > 0
    assert found.packages["numpy"] == metadata.version("numpy")
    assert "a-package-nobody-has" not in found.packages


def test_a_fingerprint_tells_nothing_about_the_person() -> None:
    text = to_json(this_machine())
    for private in (platform.node(), str(Path.home()), str(Path.cwd())):
        assert private not in text


def test_cores_are_those_of_this_process() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model name\t: Some CPU\nflags\t\t: fpu avx2 avx512_vnni\n", ("Some CPU", ("avx2", "avx512_vnni"))),
        ("processor : 0\nFeatures : fp asimddp i8mm\n", (platform.machine(), ("asimddp", "i8mm"))),
    ],
)
def test_cpu_of_x86_and_arm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(machine, "Path", lambda _: tmp_path / "cpuinfo")
    found = this_machine()
    assert (found.cpu, found.cpu_features) == expected
