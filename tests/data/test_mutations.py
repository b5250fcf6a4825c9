"""Broken and hostile files of every format end in pictures or in one line, and never in more than a child's death."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data import mutate
from tests.data.mutate import Format, Tally, formats, mutants, run

COUNT = int(os.environ.get("EDGE3VT_MUTANTS", "300"))
SOME_KINDS = ("picture", "clip", "dicom")

PLANTED = """
import os, time
import numpy as np
from edge3vt.core.errors import DataError
from edge3vt.data.importers.raw import Raw

picture = np.zeros((4, 4), np.uint8)

def broken(path): return path.read_bytes() != b"whole"
def crash(path):
    if broken(path): os._exit(1)
    return [Raw(picture)]
def hang(path):
    if broken(path): time.sleep(60)
    return [Raw(picture)]
def hog(path):
    if broken(path): return bytes(4 << 30)
    return [Raw(picture)]
def slip(path): return [Raw(picture)][5] if broken(path) else [Raw(picture)]
def gossip(path): raise DataError(f"{path}: CANARY^JANE is not well")
def half(path): return [Raw(picture, picture[:2])]
def odd(path): return [Raw(picture.astype(float))]
def nothing(path): return []
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted_importers.py").write_text(PLANTED, encoding="utf-8")
    sys.path.insert(0, str(folder))  # a spawned child takes it over
    try:
        import planted_importers  # type: ignore[import-not-found]

        yield planted_importers
    finally:
        sys.path.remove(str(folder))


def with_reader(read: Callable[[Path], Any]) -> Format:
    """A format whose one bomb is whole, so that a good file follows and precedes the bad."""
    return Format(
        lambda: [{"a": b"whole"}], lambda: [{"a": b"whole"}, {"a": b""}, {"a": b"whole"}], mutate.files_of, read
    )


@pytest.mark.parametrize("name", mutate.NAMES)
def test_broken_files_end_in_pictures_or_in_one_line(name: str) -> None:
    try:
        form = formats(name)
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    tally = run(form, COUNT)
    print(f"{name}: {tally}")  # seen with pytest -rP
    assert not tally.faults
    assert tally.outcomes.total() >= COUNT
    assert tally.outcomes["accepted"] >= 0.05 * COUNT  # not everything is refused, nor taken
    assert tally.outcomes["refused"] >= 0.05 * COUNT
    assert tally.peak_mib < 1024
    assert "crashed" not in tally.outcomes


@pytest.mark.parametrize(
    ("name", "outcome"), [("crash", "crashed"), ("hang", "late"), ("hog", "over memory"), ("slip", "failed")]
)
def test_a_planted_fault_of_a_reader_is_seen_and_the_next_file_is_read(planted: Any, name: str, outcome: str) -> None:
    tally = run(with_reader(getattr(planted, name)), 3, timeout_s=0.5)
    assert tally.outcomes == {"accepted": 2, outcome: 1}
    assert tally.peak_mib < 1024
    assert bool(tally.faults) == (outcome == "failed")  # the others were contained; a slip is a reader's bug


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("gossip", "CANARY"),
        ("half", "a mask of uint8 (2, 4)"),
        ("odd", "a picture of float64"),
        ("nothing", "no list of Raw"),
    ],
)
def test_a_planted_fault_of_a_result_is_seen(planted: Any, name: str, fault: str) -> None:
    tally = run(with_reader(getattr(planted, name)), 1)
    assert len(tally.faults) == 1
    assert fault in tally.faults[0]


def test_a_planted_fault_of_the_search_is_seen(planted: Any) -> None:
    def find(root: Path) -> list[Path]:
        raise KeyError("labels")

    tally = run(replace(with_reader(planted.slip), find=find), 2)
    assert tally.outcomes == {"failed": 2}
    assert "find raised KeyError" in tally.faults[0]


@pytest.mark.parametrize("name", SOME_KINDS)
def test_the_whole_sources_are_read(name: str) -> None:
    form = formats(name)
    whole = replace(form, bombs=form.seeds)
    tally = run(whole, len(list(form.seeds())))
    assert tally.outcomes == {"accepted": len(list(form.seeds()))}, tally.faults


def test_mutants_are_the_same_for_a_seed_and_differ_from_what_was_whole() -> None:
    form = replace(formats("picture"), bombs=list)
    once, again, other = (list(mutants(form, 40, seed)) for seed in (3, 3, 4))
    assert once == again
    assert once != other
    whole = list(form.seeds())
    assert np.mean([source in whole for _, source in once]) < 0.3  # healing a JPEG's or a header on itself is no change
    assert len({title.split()[0] for title, _ in once}) >= 8


def test_a_tally_says_it_in_one_line() -> None:
    assert str(Tally()).count("\n") == 0
