"""What happened to every frame, in fixed memory: verdicts, latencies by stage, drops by reason, and their summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge3vt.core.latency import LatencySummary
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.stream.histogram import Histogram
from edge3vt.stream.journal import CODES

STAGES = ("age", "prepare", "infer", "mask", "compose")
MAX_REASONS = 32
OTHER = "other"
REASONS = (
    "engine busy",
    "engine failed",
    "engine lost",
    "loop behind the source",
    "mask too old",
    "no mask",
    "no mask yet",
    "no time left",
    "not the 3VT view",
    "superseded",
    "vessels out of order",
)
"""Reasons are counted in these words and in WORDS only: what an engine or a file says of itself may name a patient."""
_WORDS = """
3vt a ai aorta aortic arch artery asked at away back black box busy by cava change changed closed code colour confirmed
corrupt crop depth does doppler dropped dual duplicate engine epoch every failed finite for format found frame frames
frozen gap hidden hot hung in invalid is jump lane large late layout leapt left lost mask missed no not of off old
operator order other out paused picture plausible probe pulmonary rate read region repeated score screen second seen
shape signal size skipped slow small source spine started starting state superior temporal the time to too torn trachea
unknown vein vena vessel vessels view warm was with without wrong yet
"""
WORDS = frozenset(_WORDS.split())


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One stream in numbers. on_time + late + skipped = frames; each is about the frame's own mask.

    emitted_late: delivered after capture + budget. miss_rate: (emitted late + never emitted) / frames.
    own_mask_rate: on_time / emitted. shown: frames with a mask drawn. longest_streak: of misses, in frames.
    total_ms: capture to composed frame, None offline, where nothing has a deadline. Times are within 1 %, greatest
    ones exact. states: frames in each state; notices: how often each state other than LIVE began. restarts: of
    processes, by code.
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
    states: dict[str, int] = field(default_factory=dict)
    notices: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """Counts by name, of at most MAX_REASONS names; what comes after counts as OTHER."""

    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, name: str) -> None:
        counts = self._counts
        if name not in counts and len(counts) >= MAX_REASONS:
            name = OTHER
        counts[name] += 1

    def counts(self) -> dict[str, int]:
        return dict(self._counts)


@dataclass(slots=True)
class Ledger:
    """Counts emitted and lost frames as they come; ``summary`` at any time, from any thread.

    Its memory does not grow: nine histograms and four tallies. What saturates is told with each result: lane.rails.
    """

    budget_ms: float | None  # None offline
    stages: dict[str, Histogram] = field(default_factory=lambda: {stage: Histogram() for stage in STAGES})
    total: Histogram = field(default_factory=Histogram)
    mask_age: Histogram = field(default_factory=Histogram)
    _verdicts: Counter[Verdict] = field(default_factory=Counter)
    _states: Counter[State] = field(default_factory=Counter)
    _skipped: Tally = field(default_factory=Tally)
    _withheld: Tally = field(default_factory=Tally)
    _notices: Tally = field(default_factory=Tally)
    _restarts: Tally = field(default_factory=Tally)
    _last: State = State.LIVE
    _shown: int = 0
    _emitted_late: int = 0
    _never_emitted: int = 0
    _streak: int = 0
    _longest_streak: int = 0

    def emitted(self, seg: Segmentation) -> None:
        """A frame left, with or without its mask."""
        timing, stages = seg.timing, self.stages
        self.total.add(timing.total_ns)
        if self.budget_ms is not None:
            stages["age"].add(timing.age_ns)
        stages["compose"].add(timing.compose_ns)
        if seg.mask_ns is not None and seg.mask_ns == seg.frame.captured_ns:
            stages["prepare"].add(timing.prepare_ns)
            stages["infer"].add(timing.infer_ns)
            stages["mask"].add(timing.mask_ns)
        age_ns = seg.mask_age_ns
        if seg.shown and age_ns is not None:
            self.mask_age.add(age_ns)
        self._emitted_late += seg.emitted_late
        self._miss(seg.emitted_late)
        self._verdicts[seg.verdict] += 1
        if seg.verdict is not Verdict.ON_TIME and seg.reason:
            self._skipped.add(known_reason(seg.reason))
        if seg.withheld:
            failed = seg.state is State.AI_INVALID or seg.state is State.AI_OFF
            self._withheld.add(known_reason(seg.withheld, "engine failed" if failed else OTHER))
        self._shown += seg.shown
        self._states[seg.state] += 1
        self.noticed(seg.state)

    def lost(self, reason: str) -> None:
        """A frame of the source never left."""
        self._never_emitted += 1
        self._miss(True)
        self._verdicts[Verdict.SKIPPED] += 1
        self._skipped.add(known_reason(reason))

    def noticed(self, state: State) -> None:
        """A state began, or goes on. By itself for a picture that leaves once more and is no frame of the source."""
        if state is not self._last:
            self._last = state
            if state is not State.LIVE:
                self._notices.add(state.value)

    def restarted(self, code: str) -> None:
        """A process was started anew. code: why, one of journal.CODES: HANG, EXIT, OOM."""
        self._restarts.add(code if code in CODES else OTHER)

    def _miss(self, missed: bool) -> None:
        self._streak = self._streak + 1 if missed else 0
        if self._streak > self._longest_streak:
            self._longest_streak = self._streak

    def summary(self) -> StreamSummary:
        live = self.budget_ms is not None
        emitted = self.total.samples
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
            longest_streak=self._longest_streak,
            budget_ms=self.budget_ms,
            total_ms=self.total.summary() if live else None,
            stages_ms={stage: histogram.summary() for stage, histogram in self.stages.items()},
            skipped_by_reason=self._skipped.counts(),
            withheld_by_reason=self._withheld.counts(),
            mask_age_ms=self.mask_age.summary(),
            states={state.value: count for state, count in dict(self._states).items()},
            notices=self._notices.counts(),
            restarts=self._restarts.counts(),
        )

    def counts(self) -> dict[str, int]:
        """The plain counts, cheaply: for a line a second."""
        emitted = self.total.samples
        return {
            "frames": emitted + self._never_emitted,
            "emitted": emitted,
            **{verdict.value: self._verdicts[verdict] for verdict in Verdict},
            "shown": self._shown,
            "emitted_late": self._emitted_late,
            "never_emitted": self._never_emitted,
            "longest_streak": self._longest_streak,
        }

    def tallies(self) -> dict[str, Mapping[str, int]]:
        """The counts by name: skipped, withheld, states, notices, restarts."""
        return {
            "skipped": self._skipped.counts(),
            "withheld": self._withheld.counts(),
            "states": {state.value: count for state, count in dict(self._states).items()},
            "notices": self._notices.counts(),
            "restarts": self._restarts.counts(),
        }


_KNOWN: dict[str, str] = {reason: reason for reason in REASONS}


def known_reason(reason: str, otherwise: str = OTHER) -> str:
    """The reason as it is counted: without numbers, and ``otherwise`` where it holds a word that is none of ours."""
    if (known := _KNOWN.get(reason)) is not None:
        return known
    if reason.startswith("view seen in"):
        return "view not seen long enough"
    words = [word for word in reason.lower().replace(",", " ").split() if not word.replace(".", "").isdigit()]
    known = " ".join(words) if words and WORDS.issuperset(words) else otherwise
    if known != otherwise and len(_KNOWN) < 10 * MAX_REASONS:
        _KNOWN[reason] = known
    return known


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
    rows += [f"{state} began {count} times" for state, count in summary.notices.items()]
    rows += [f"Restarted, {code}: {count} times" for code, count in summary.restarts.items()]
    return rows
