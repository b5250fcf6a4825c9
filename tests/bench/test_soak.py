"""What a soak measures, and that a leak fails it."""

from __future__ import annotations

import math
import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge3vt.bench.findings import Finding
from edge3vt.bench.soak import Holding, findings, holding, slope, soak
from edge3vt.core.errors import ConfigError
from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.lane import ThreadLane
from edge3vt.stream.process import ProcessLane

SHORT_S, SHORT_MB_H = 4.0, 300_000.0
"""In seconds no slope is known to a megabyte an hour, and what warms up grows too: 83 MB a second is a leak there."""
LEAK = 6_000_000
"""Bytes a frame: 360 MB a second, and still a leak where three of four frames are lost."""


def named(found: list[Finding], words: str) -> Finding:
    (one,) = [finding for finding in found if words in finding.what]
    return one


def test_the_slope_of_a_line_is_its_own_and_its_bound_is_close() -> None:
    per_hour, upper = slope(range(100), [5 + 2 * t / 3600 for t in range(100)])
    assert per_hour == pytest.approx(2)
    assert upper == pytest.approx(2, abs=1e-6)


def test_noise_widens_the_bound_and_noise_that_drifts_widens_it_more() -> None:
    random = np.random.default_rng(1)
    white = random.normal(0, 1, 1000)
    red = np.convolve(random.normal(0, 1, 1100), np.full(50, 1 / math.sqrt(50)), "valid")[:1000]
    bounds = [np.subtract(*reversed(slope(range(1000), values))) for values in (white, red)]
    assert 0 < bounds[0] < bounds[1] / 3
    covered = [slope(range(200), random.normal(0, 1, 200))[1] > 0 for _ in range(400)]
    assert 0.92 < np.mean(covered) < 0.98, "of 95 %"


def test_too_few_samples_give_no_slope() -> None:
    with pytest.raises(ValueError, match="9 samples"):
        slope(range(9), range(9))
    few = findings([Holding(float(i), {1: 100.0}, 9, 3, 1) for i in range(5)])
    assert few[-1].verdict == "FAIL"
    assert findings([])[0].verdict == "FAIL"


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("slope", {"memory_mb": lambda i: {1: 100 + i / 1000}}),
        ("open files", {"files": lambda i: 9 + i // 100}),
        ("threads", {"threads": lambda i: 3 + i // 100}),
        ("shared", {"shared": lambda i: 1 + i // 100}),
        ("replaced", {"memory_mb": lambda i: {1 + i // 100: 100.0}}),
    ],
)
def test_each_thing_that_grows_fails(words: str, changes: dict) -> None:
    def sample(i: int, **changes) -> Holding:
        kept = {"memory_mb": {1: 100.0}, "files": 9, "threads": 3, "shared": 1}
        return Holding(float(i), **(kept | {key: change(i) for key, change in changes.items()}))

    assert all(finding.verdict == "pass" for finding in findings([sample(i) for i in range(200)]))
    assert named(findings([sample(i, **changes) for i in range(200)]), words).verdict == "FAIL"


def test_what_is_held_is_seen() -> None:
    before = holding(0)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    memory = os.memfd_create("held")
    after = holding(1)
    stop.set()
    thread.join()
    os.close(memory)
    assert (after.files - before.files, after.shared - before.shared, after.threads - before.threads) == (1, 1, 1)
    assert os.getpid() in before.memory_mb


def test_a_short_soak_holds_and_a_planted_leak_fails_it(tmp_path: Path) -> None:
    leaked: list[bytes] = []

    def leak(seg: Segmentation) -> None:
        leaked.append(b"x" * LEAK)

    found = soak(ThreadLane, SHORT_S, tmp_path, slope_mb_h=SHORT_MB_H, every_s=0.2)
    for words in ("open files", "threads", "shared", "replaced", "slope", "altered", "stale"):
        assert named(found, words).verdict == "pass", words
    leaking = soak(ThreadLane, SHORT_S / 2, tmp_path, slope_mb_h=SHORT_MB_H, every_s=0.1, extra=leak)
    assert named(leaking, "slope").verdict == "FAIL"
    assert named(leaking, "open files").verdict == "pass"


@pytest.mark.slow
def test_a_minute(tmp_path: Path) -> None:
    found = soak(partial(ProcessLane), 60, tmp_path, slope_mb_h=60)
    for words in ("open files", "threads", "shared", "replaced", "slope"):
        assert named(found, words).verdict == "pass", words


def test_no_time_is_no_soak() -> None:
    from edge3vt.bench.soak import main

    with pytest.raises(ConfigError, match="more than 0"):
        main(["0"])
