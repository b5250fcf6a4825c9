"""What happened to every frame: verdicts, latencies per stage, drops by reason, and their summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from edge3vt.core.latency import LatencySummary, longest_streak, summarise
from edge3vt.core.segmentation import Segmentation, Verdict

STAGES = ("age", "prepare", "infer", "mask", "compose")


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One stream in numbers. on_time + late + skipped = frames; each is about the frame's own mask.

    emitted_late: delivered after capture + budget. miss_rate: (emitted late + never emitted) / frames.
    own_mask_rate: on_time / emitted. shown: frames with a mask drawn. longest_streak: of misses, in frames.
    total_ms: capture to composed frame, None offline, where nothing has a deadline.
    """

    frames: int
    emitted: int
    on_time: int
    late: int
    skipped: int
    shown: int
    emitted_late: int
    never_emitted: int
    miss_rate: float | None
    own_mask_rate: float | None
    longest_streak: int
    budget_ms: float | None
    total_ms: LatencySummary | None
    stages_ms: dict[str, LatencySummary]
    skipped_by_reason: dict[str, int]
    withheld_by_reason: dict[str, int]
    mask_age_ms: LatencySummary


@dataclass(slots=True)
class Ledger:
    """Counts emitted and lost frames as they come; ``summary`` at any time."""

    budget_ms: float | None  # None offline
    _stages_ns: dict[str, list[int]] = field(default_factory=lambda: {stage: [] for stage in STAGES})
    _totals_ns: list[int] = field(default_factory=list)
    _ages_ns: list[int] = field(default_factory=list)
    _misses: list[bool] = field(default_factory=list)
    _verdicts: Counter[Verdict] = field(default_factory=Counter)
    _skipped: Counter[str] = field(default_factory=Counter)
    _withheld: Counter[str] = field(default_factory=Counter)
    _shown: int = 0
    _emitted_late: int = 0
    _never_emitted: int = 0

    def emitted(self, seg: Segmentation) -> None:
        """A frame left, with or without its mask."""
        timing = seg.timing
        self._totals_ns.append(timing.total_ns)
        if self.budget_ms is not None:
            self._stages_ns["age"].append(timing.age_ns)
        self._stages_ns["compose"].append(timing.compose_ns)
        if seg.mask_ns == seg.frame.captured_ns:
            for stage, value in (("prepare", timing.prepare_ns), ("infer", timing.infer_ns), ("mask", timing.mask_ns)):
                self._stages_ns[stage].append(value)
        if seg.shown and seg.mask_age_ns is not None:
            self._ages_ns.append(seg.mask_age_ns)
        self._misses.append(seg.emitted_late)
        self._emitted_late += seg.emitted_late
        self._verdicts[seg.verdict] += 1
        if seg.verdict is not Verdict.ON_TIME and seg.reason:
            self._skipped[seg.reason] += 1
        if seg.withheld:
            self._withheld[_without_numbers(seg.withheld)] += 1
        self._shown += seg.shown

    def lost(self, reason: str) -> None:
        """A frame of the source never left."""
        self._misses.append(True)
        self._never_emitted += 1
        self._verdicts[Verdict.SKIPPED] += 1
        self._skipped[reason] += 1

    def summary(self) -> StreamSummary:
        live = self.budget_ms is not None
        emitted = len(self._totals_ns)
        frames = emitted + self._never_emitted
        return StreamSummary(
            frames=frames,
            emitted=emitted,
            on_time=self._verdicts[Verdict.ON_TIME],
            late=self._verdicts[Verdict.LATE],
            skipped=self._verdicts[Verdict.SKIPPED],
            shown=self._shown,
            emitted_late=self._emitted_late,
            never_emitted=self._never_emitted,
            miss_rate=(self._emitted_late + self._never_emitted) / frames if frames and live else None,
            own_mask_rate=self._verdicts[Verdict.ON_TIME] / emitted if emitted else None,
            longest_streak=longest_streak(self._misses),
            budget_ms=self.budget_ms,
            total_ms=summarise(self._totals_ns) if live else None,
            stages_ms={stage: summarise(values) for stage, values in self._stages_ns.items()},
            skipped_by_reason=dict(self._skipped),
            withheld_by_reason=dict(self._withheld),
            mask_age_ms=summarise(self._ages_ns),
        )


def lines(summary: StreamSummary, title: str) -> list[str]:
    """The summary as trtexec prints one."""

    def spread(name: str, s: LatencySummary) -> str:
        values = {
            "median": s.p50,
            "percentile(90%)": s.p90,
            "percentile(95%)": s.p95,
            "percentile(99%)": s.p99,
            "max": s.max,
        }
        shown = ", ".join(f"{k} = {v:.3f} ms" if v is not None else f"{k} = n/a" for k, v in values.items())
        return f"{name}: {shown} ({s.samples} samples)"

    def share(value: float | None) -> str:
        return "n/a" if value is None else f"{100 * value:.2f} %"

    rows = [
        f"=== Stream summary: {title} ===",
        f"Frames: {summary.frames}, emitted: {summary.emitted}, on time: {summary.on_time}, late: {summary.late}, "
        f"skipped: {summary.skipped}, mask shown: {summary.shown}",
    ]
    if summary.total_ms is not None:
        rows += [
            f"Deadline: {summary.budget_ms:g} ms, miss rate: {share(summary.miss_rate)}, "
            f"own masks: {share(summary.own_mask_rate)}, longest streak of misses: {summary.longest_streak}",
            spread("Total", summary.total_ms),
        ]
    rows += [spread(stage.capitalize(), s) for stage, s in summary.stages_ms.items() if s.samples]
    rows += [f"No own mask, {reason}: {count} frames" for reason, count in summary.skipped_by_reason.items()]
    rows += [f"No overlay, {reason}: {count} frames" for reason, count in summary.withheld_by_reason.items()]
    return rows


def _without_numbers(reason: str) -> str:
    """Group reasons that differ only in a count."""
    return "view not seen long enough" if reason.startswith("view seen in") else reason
