from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge3vt.bench.surroundings import Load, Observer, Ticks, clock_mhz, lines, load, ticks
from edge3vt.core.clock import NS_PER_MS, SystemClock


def test_what_is_busy_and_not_ours_is_others() -> None:
    assert load(Ticks(1000, 100, 5, 50), Ticks(1200, 220, 15, 110)) == Load(
        own=pytest.approx(0.3), others=pytest.approx(0.3), stolen=pytest.approx(0.05)
    )
    assert load(Ticks(0, 0, 0, 0), Ticks(0, 0, 0, 9)) == Load(0, 0, 0)
    assert load(Ticks(0, 0, 0, 0), Ticks(100, 10, 0, 12)).others == 0


def test_the_kernels_counters_of_our_cores_and_our_tree(tmp_path: Path) -> None:
    own = os.getpid()
    (tmp_path / "stat").write_text(
        "cpu 9 9 9 9 9 9 9 9 0 0\ncpu0 100 10 50 700 30 2 3 5 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n"
    )
    for pid, children, spent in ((own, "77", "10 5 3 2"), (77, "", "20 4 0 0")):
        task = tmp_path / str(pid) / "task" / str(pid)
        task.mkdir(parents=True)
        (task / "children").write_text(children)
        before = " ".join(["0"] * 11)
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a ) name) {before} {spent} 20 0 1 0")
    found = ticks([0], tmp_path)
    assert found == Ticks(all=900, busy=165, stolen=5, own=44)
    assert ticks([0], tmp_path / "none") == Ticks(0, 0, 0, 0)


def test_the_clock_of_a_core(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(
        "processor\t: 0\ncpu MHz\t\t: 2600.5\n\nprocessor\t: 1\ncpu MHz\t\t: 1800.0\n"
    )
    assert (clock_mhz(0, tmp_path), clock_mhz(1, tmp_path), clock_mhz(2, tmp_path)) == (2600.5, 1800.0, None)
    folder = tmp_path / "sys/devices/system/cpu/cpu1/cpufreq"
    folder.mkdir(parents=True)
    (folder / "scaling_cur_freq").write_text("1510400\n")
    assert clock_mhz(1, tmp_path) == 1510.4


def test_an_observer_of_this_machine() -> None:
    clock = SystemClock()
    observer = Observer(gpu=False).start()
    until = clock.now_ns() + 200 * NS_PER_MS
    while clock.now_ns() < until:
        pass
    found = observer.finish()
    assert set(found.cores) == os.sched_getaffinity(0)
    assert 0 < found.load.own <= 1, "we were busy"
    text = "\n".join(lines(found, 0.2))
    assert "own" in text
    assert f"Cores {','.join(map(str, found.cores))}" in text
