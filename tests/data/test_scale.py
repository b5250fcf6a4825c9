"""The large import, smaller: a hundred pictures, killed half-way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge3vt.data.decoder import MOST_WORKERS
from tests.data.scale import memory_mib, run, tree


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc")
def test_an_import_killed_half_way_ends_whole_within_its_memory(tmp_path: Path) -> None:
    figures = run(tmp_path, 120, workers=2)
    print(figures)
    assert figures.resumed >= 59
    assert 20 < figures.parent_peak_mib < 300
    assert figures.proportional_peak_mib <= figures.peak_mib
    assert 20 < figures.child_peak_mib < 400


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc")
def test_ten_thousand_pictures_are_imported_within_a_gigabyte(tmp_path: Path) -> None:
    figures = run(tmp_path, 10_000)
    print(figures)
    assert figures.workers == MOST_WORKERS
    assert figures.peak_mib < 1e9 / 2**20


def test_memory_of_a_process_that_is_gone_is_none() -> None:
    assert memory_mib(os.getpid(), "status", "VmRSS:") > 10
    assert next(tree(os.getpid())) == os.getpid()
    assert memory_mib(2**22 + 1, "status", "VmRSS:") == 0
