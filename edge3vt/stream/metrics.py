"""Figures of the running stream for others to read: Prometheus on the loopback, and a JSON line a second."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from edge3vt.core.clock import NS_PER_MS, NS_PER_S, wall_label
from edge3vt.core.errors import BackendMissingError, ConfigError
from edge3vt.core.latency import LatencySummary
from edge3vt.stream.health import Health
from edge3vt.stream.histogram import Histogram
from edge3vt.stream.rows import Rows
from edge3vt.stream.telemetry import Ledger

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

PORT = 9317
BOUNDS_MS = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.7, 20.0, 25.0, 33.3, 50.0, 75.0, 100.0, 150.0, 250.0, 1000.0)
PREFIX = "edge3vt_"
Gauges = Callable[[], Iterable[tuple[str, str, float]]]
"""Name, what it is, and value of figures that their owner keeps."""


def no_gauges() -> tuple[tuple[str, str, float], ...]:
    return ()


class Collector:
    """Turns a ledger and the newest health into Prometheus's metrics when it is asked; costs the loop nothing.

    Names follow prometheus.io/docs/practices/naming: base units, _total for what only grows. sinks: dropped frames by
    kind of sink. moves: of the ladder, by the rung they went to. gauges: whatever else there is to tell.
    """

    def __init__(
        self,
        ledger: Ledger,
        health: Callable[[], Health] | None = None,
        sinks: Callable[[], Mapping[str, int]] | None = None,
        moves: Callable[[], Mapping[str, int]] | None = None,
        gauges: Gauges = no_gauges,
    ) -> None:
        self._ledger, self._health, self._sinks, self._moves, self._more = ledger, health, sinks, moves, gauges

    def describe(self) -> list[Metric]:
        return []  # nothing is collected to register it

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        ledger = self._ledger
        counts, tallies = ledger.counts(), ledger.tallies()

        def counter(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
            family = CounterMetricFamily(PREFIX + name, text, labels=[label])
            for value, count in values.items():
                family.add_metric([value], count)
            return family

        verdicts = {name: counts[name] for name in ("on_time", "late", "skipped")}
        yield counter("frames", "Frames of the source, by the fate of their own mask.", "verdict", verdicts)
        deliveries = {name: counts[name] for name in ("emitted", "shown", "emitted_late", "never_emitted")}
        yield counter("deliveries", "Frames by what was delivered.", "kind", deliveries)
        yield counter("no_own_mask", "Frames without a mask of their own.", "reason", tallies["skipped"])
        yield counter("no_overlay", "Frames whose mask was withheld.", "reason", tallies["withheld"])
        yield counter("state_frames", "Frames in each state.", "state", tallies["states"])
        yield counter("notices", "How often each state began.", "state", tallies["notices"])
        yield counter("restarts", "Processes started anew.", "code", tallies["restarts"])
        if self._sinks is not None:
            yield counter("sink_dropped_frames", "Frames that a sink dropped.", "sink", self._sinks())
        if self._moves is not None:
            yield counter("ladder_moves", "Moves of the ladder.", "rung", self._moves())
        streak = GaugeMetricFamily(PREFIX + "longest_missed_streak_frames", "Longest run of missed deadlines.")
        streak.add_metric([], counts["longest_streak"])
        yield streak
        yield _distribution("stage_seconds", "Time in each stage.", "stage", dict(ledger.stages))
        yield _distribution("frame_seconds", "Capture to composed frame.", "", {"": ledger.total})
        yield _distribution("mask_age_seconds", "Age of the masks that were drawn.", "", {"": ledger.mask_age})
        health = () if self._health is None else _gauges(self._health())
        for name, text, value in (*health, *self._more()):
            gauge = GaugeMetricFamily(PREFIX + name, text)
            gauge.add_metric([], value)
            yield gauge


def _distribution(name: str, text: str, label: str, values: Mapping[str, Histogram]) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(PREFIX + name, text, labels=[label] if label else [])
    for value, histogram in values.items():
        counts = histogram.at_most(tuple(round(ms * NS_PER_MS) for ms in BOUNDS_MS))
        buckets = [(f"{ms / 1000:g}", float(count)) for ms, count in zip(BOUNDS_MS, counts, strict=True)]
        buckets.append(("+Inf", float(max(histogram.samples, counts[-1]))))
        family.add_metric([value] if label else [], buckets, histogram.total_ns / NS_PER_S)
    return family


def _gauges(health: Health) -> Iterator[tuple[str, str, float]]:
    if (found := health.vitals) is not None:
        yield "resident_memory_bytes", "Memory of this process.", found.rss_bytes
        yield "open_file_descriptors", "Of this process.", found.file_descriptors
        yield "threads", "Of this process.", found.threads
        yield "shared_memory_segments", "Mapped by this process.", found.shared_memory
    if (around := health.conditions) is not None:
        if around.temperature_c is not None:
            yield "temperature_celsius", "Of the hottest sensor.", around.temperature_c
        if around.slowed is not None:
            yield "throttled", "1 while something holds the clocks down.", float(around.slowed)
    yield "growth_alarm", "1 while memory or descriptors grow beyond their bound.", float(bool(health.growing))


class MetricsServer:
    """Prometheus's endpoint, http://HOST:PORT/metrics, until closed. port 0 takes a free one; see ``port``.

    Raises BackendMissingError without prometheus-client, ConfigError for a port that is taken or an address beyond
    this machine without ``beyond_loopback``: the figures name no patient, but nobody is asked who reads them.
    """

    def __init__(
        self, collector: Collector, port: int = PORT, host: str = "127.0.0.1", *, beyond_loopback: bool = False
    ) -> None:
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ImportError as error:
            raise BackendMissingError(
                "prometheus-client is not installed; install it: pip install 'edge3vt[metrics]'"
            ) from error
        try:
            loopback = ip_address(host).is_loopback
        except ValueError as error:
            raise ConfigError(f"{host}: expected an IP address to listen at, as in 127.0.0.1") from error
        if not loopback and not beyond_loopback:
            raise ConfigError(f"{host} is not this machine alone; listen at 127.0.0.1")
        registry = CollectorRegistry(auto_describe=False)
        registry.register(collector)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise ConfigError(f"port {port}: cannot listen ({error.strerror}); choose another port, or 0") from error
        self.port: int = self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=1.0)


class Ticker:
    """Once a second, in a thread of its own: a row of figures into ``rows``, and whatever ``also`` does.

    also: called after each row, say Journal.flush.
    """

    def __init__(
        self,
        ledger: Ledger,
        rows: Rows | None = None,
        health: Callable[[], Health] | None = None,
        also: Callable[[], None] = lambda: None,
        every_ns: int = NS_PER_S,
        gauges: Gauges = no_gauges,
    ) -> None:
        self._ledger, self._rows, self._health, self._also, self._more = ledger, rows, health, also, gauges
        self._every_ns = every_ns
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ticker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """One last row, and the rows' file closed."""
        self._closing.set()
        self._thread.join(timeout=2.0)
        if self._rows is not None and not self._thread.is_alive():
            self._rows.close()

    def _work(self) -> None:
        ending = False
        while not ending:
            ending = self._closing.wait(self._every_ns / NS_PER_S)
            if self._rows is not None:
                self._rows.write(row(self._ledger, self._health() if self._health else None, self._more()))
            self._also()


def row(ledger: Ledger, health: Health | None, gauges: Iterable[tuple[str, str, float]] = ()) -> dict[str, Any]:
    """The figures since the start, as a line holds them. at: wall time, a label."""

    def spread(s: LatencySummary) -> dict[str, float | None]:
        return {"p50": s.p50, "p99": s.p99, "max": s.max}

    out: dict[str, Any] = {"at": wall_label(), **ledger.counts(), **ledger.tallies()}
    out["total_ms"] = spread(ledger.total.summary())
    out["infer_ms"] = spread(ledger.stages["infer"].summary())
    out["mask_age_ms"] = spread(ledger.mask_age.summary())
    told = () if health is None else _gauges(health)
    return out | {name: value for name, _, value in (*told, *gauges)}
