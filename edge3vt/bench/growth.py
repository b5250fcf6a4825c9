"""Whether memory grows while a scenario runs: sampled seldom, judged as the soak judges it."""

from __future__ import annotations

import threading

from edge3vt.bench.result import Growth
from edge3vt.bench.soak import LEAST_SAMPLES, SETTLE, Holding, holding, slope
from edge3vt.core.clock import NS_PER_S, SystemClock

EVERY_S = 5.0


class Grower:
    """Samples what this process and its children hold, in a thread of its own, until ``finish``."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s, self._clock = every_s, SystemClock()
        self._samples: list[Holding] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="grower", daemon=True)
        self._thread.start()

    def finish(self) -> Growth | None:
        """None with too few samples to tell a slope."""
        self._stop.set()
        self._thread.join()
        return growth(self._samples)

    def _work(self) -> None:
        begun_ns = self._clock.now_ns()
        while not self._stop.wait(self._every_s):
            self._samples.append(holding((self._clock.now_ns() - begun_ns) / NS_PER_S))


def growth(samples: list[Holding]) -> Growth | None:
    """Of the processes that lived from the end of warming up to the end; None with too few samples."""
    settled = samples[round(len(samples) * SETTLE) :]
    if len(settled) < LEAST_SAMPLES:
        return None
    lasting = set.intersection(*(set(sample.memory_mb) for sample in settled))
    total = [sum(sample.memory_mb[pid] for pid in lasting) for sample in settled]
    per_hour, upper = slope([sample.at_s for sample in settled], total)
    return Growth(total[-1], per_hour, upper)
