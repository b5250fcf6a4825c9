"""Results with made-up numbers, and a bench of pictures and an engine that cost next to nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from edge3vt.bench.limits import STAGES
from edge3vt.bench.quantiles import spread
from edge3vt.bench.result import EngineFacts, Result, Series, Start, StreamBlock
from edge3vt.bench.scenario import Arrivals, Scenario
from edge3vt.bench.stalls import Stalls
from edge3vt.bench.subject import Engine
from edge3vt.bench.surroundings import Load, Surroundings
from edge3vt.core.clock import SystemClock
from edge3vt.core.conditions import Conditions
from edge3vt.core.frame import Frame
from edge3vt.core.machine import Machine
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.fake import FakeSession

SPEC = ModelSpec(1, "fake", "1", ("background", "bright"), 32, 32, 4, True, True, "")
FACTS = EngineFacts("fake", SPEC.model_id, "0" * 64, "int8", "onnxruntime", "1", 1, 32, 32)
NOW = Conditions(None, None, None, None, None, (), None)
MACHINE = Machine("A CPU", ("avx2",), 2, 8.0, "Linux x86_64", "3.11", {"numpy": "2.2"})
PACED = Scenario(1, "made up", Arrivals("paced", 60), 10, limits=())


def pictures(count: int = 8) -> list[Frame]:
    """Grey, 160x120, no two alike."""
    frames = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (120, 160), np.uint8)
        pixels.flags.writeable = False
        frames.append(Frame(number, 0, pixels))
    return frames


def engine(latency_ms: float = 0.0) -> Engine:
    return Engine(FACTS, partial(FakeSession, SPEC, SystemClock(), latency_ms=latency_ms))


def result(total_us: np.ndarray, made: str = "2026-01-01T00:00:00+00:00", **changes: object) -> Result:
    """Every frame left, with these totals, 60 a second."""
    n, values = len(total_us), tuple(int(value) for value in total_us)
    whole = spread(np.asarray(values) * 1000)
    found = Result(
        schema=1,
        edge3vt="0",
        made=made,
        name="made-up",
        scenario=PACED,
        stopped=False,
        measured_s=n / 60,
        engine=FACTS,
        engine_alone=None,
        stream=StreamBlock(
            frames=n,
            emitted=n,
            on_time=n,
            late=0,
            skipped=0,
            shown=n,
            emitted_late=0,
            never_emitted=0,
            misses=0,
            miss_rate=0.0,
            own_mask_rate=1.0,
            longest_streak=0,
            stages_ms=dict.fromkeys(STAGES, whole),
            runner_ms=whole,
            wake_ms=whole,
            skipped_by_reason={},
            withheld_by_reason={},
            restarts={},
            written=n,
            dropped=0,
            width=160,
            height=120,
        ),
        starts=(Start(300.0, 5.0, 3.0, 5.0),),
        neighbours=(),
        stalls=Stalls((0, 1), 2.0, 8.0, whole, 0, 0.0, 0, 0, ()),
        machine=MACHINE,
        surroundings=Surroundings((0, 1), None, None, None, None, NOW, NOW, None, (), (), 0.1, Load(0.5, 0.0, 0.0)),
        growth=None,
        verdicts=(),
        passed=True,
        series=Series((n,), (0, *(17,) * (n - 1)), values, values, values),
    )
    return replace(found, **changes)
