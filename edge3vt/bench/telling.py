"""A result as lines: the engine in trtexec's form, the stream, the stalls, the machine, then the verdicts."""

from __future__ import annotations

from collections.abc import Iterator

from edge3vt.bench import engine_block, limits, surroundings
from edge3vt.bench.limits import STAGES
from edge3vt.bench.quantiles import PERCENTILES, Quantile, Spread, needed
from edge3vt.bench.result import Result


def lines(result: Result) -> list[str]:
    """Everything but the series."""
    return [
        *_head(result),
        *(engine_block.lines(result.engine_alone) if result.engine_alone else ()),
        *_stream(result),
        *_starts(result),
        *_stalls(result),
        *surroundings.lines(result.surroundings, result.measured_s),
        *map(limits.line, result.verdicts),
    ]


def _head(result: Result) -> Iterator[str]:
    engine, scenario = result.engine, result.scenario
    yield f"{result.name}: {scenario.about}; {result.measured_s:.1f} s measured"
    if result.stopped:
        yield "STOPPED before its time was up: what follows is the part that was measured, and passes nothing"
    for fault in result.faults:
        yield f"FAULT {fault}"
    if scenario.unverified:
        yield f"unverified: {scenario.unverified}"
    yield (
        f"{engine.name}: {engine.model_id}, {engine.precision}, {engine.runtime} {engine.runtime_version}, "
        f"{engine.width} px, {engine.threads} threads, in a {scenario.lane}; {result.machine.cpu}"
    )


def _stream(result: Result) -> Iterator[str]:
    stream = result.stream
    yield f"=== Stream summary: {stream.width}x{stream.height}, budget {result.scenario.budget_ms:g} ms ==="
    yield (
        f"Frames: {stream.frames}, emitted: {stream.emitted}, on time: {stream.on_time}, late: {stream.late}, "
        f"skipped: {stream.skipped}, mask shown: {stream.shown}"
    )
    yield (
        f"Misses: {stream.misses} ({_share(stream.miss_rate)}), longest streak {stream.longest_streak}; "
        f"own masks {_share(stream.own_mask_rate)}"
    )
    for name in STAGES:
        if stream.stages_ms[name].samples:
            yield _row(name.capitalize(), stream.stages_ms[name])
    if stream.runner_ms.samples:
        yield _row("Runner's own", stream.runner_ms)
    if stream.wake_ms.samples:
        yield _row("Source woke late", stream.wake_ms)
    for reason, count in stream.skipped_by_reason.items():
        yield f"No own mask, {reason}: {count} frames"
    for reason, count in stream.withheld_by_reason.items():
        yield f"No overlay, {reason}: {count} frames"
    for code, count in stream.restarts.items():
        yield f"Restarted, {code}: {count} times"
    if stream.dropped:
        yield f"Dropped by sinks: {stream.dropped} frames"
    for number, other in enumerate(result.neighbours, start=2):
        yield f"Stream {number}: {other.frames} frames, {other.misses} misses"
        yield _row(f"Stream {number}, total", other.total_ms)
    if result.growth is not None:
        grown = result.growth
        yield (
            f"Memory: {grown.memory_mb:.0f} MB, slope {grown.slope_mb_h:.3g} MB/h, 95 % upper bound "
            f"{grown.upper_mb_h:.3g}"
        )


def _starts(result: Result) -> Iterator[str]:
    opening = sorted(start.opening_ms for start in result.starts)
    masked = sorted(start.masked_after_ms for start in result.starts if start.masked_after_ms is not None)
    text = f"{len(opening)} starts: engine open and warm after {_range(opening)} ms"
    yield text + (f", first own mask {_range(masked)} ms after the first frame" if masked else "")


def _stalls(result: Result) -> Iterator[str]:
    stalls = result.stalls
    if not stalls.probes:
        yield "No probe ran: all misses count as our own"
        return
    yield (
        f"Probes on cores {','.join(map(str, stalls.probes))} overslept by {stalls.limit_ms:g} ms or more "
        f"{stalls.stalls} times ({stalls.stalled_share:.2%} of the time)"
    )
    yield _row("Probes woke late", stalls.late_ms)
    yield f"Misses: {stalls.own} our own, {stalls.machine} the machine's"


def _row(name: str, spread: Spread) -> str:
    told = [f"{at} {_quantile(at, spread.at[at])}" for at in PERCENTILES]
    most = "n/a" if spread.max_ms is None else f"{spread.max_ms:.3f}"
    return f"{name}: {', '.join(told)}, max {most} ms ({spread.samples} samples)"


def _quantile(name: str, found: Quantile | None) -> str:
    if found is None:
        return f"n/a (needs {needed(name)})"
    return f"{found.ms:.3f} ({found.low_ms:.3f}-{'?' if found.high_ms is None else f'{found.high_ms:.3f}'})"


def _range(values: list[float]) -> str:
    return f"{values[0]:.0f}" if len(values) == 1 else f"{values[0]:.0f}-{values[-1]:.0f}"


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.3f} %"
