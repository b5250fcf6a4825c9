"""What Prometheus reads, what the lines hold, and that no name is in either."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.conditions import Conditions
from edge3vt.core.errors import BackendMissingError, ConfigError
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict
from edge3vt.stream.health import Health, Vitals
from edge3vt.stream.metrics import Collector, MetricsServer, Ticker, row
from edge3vt.stream.rows import Rows
from edge3vt.stream.telemetry import Ledger

prometheus = pytest.importorskip("prometheus_client", reason="needs the extra 'metrics'")
PATIENT = "MUSTERFRAU^ERIKA"
PIXELS = np.zeros((8, 8), np.uint8)
HEALTH = Health(
    Vitals(400 << 20, 33, 9, 2), Conditions(None, None, None, 71.5, True, ("power cap",), None), {"memory": 1e9}
)
UNITS = ("_total", "_seconds", "_bytes", "_celsius", "_frames", "_segments", "_descriptors", "_threads", "_ratio")
PURE = {"edge3vt_ladder_rung", "edge3vt_throttled", "edge3vt_growth_alarm", "edge3vt_threads"}


def filled(budget_ms: float = 16.7) -> Ledger:
    ledger = Ledger(budget_ms)
    for i in range(600):
        frame = Frame(i, i * 16_000_000, PIXELS)
        own = i % 4 != 0
        seg = Segmentation(
            frame=frame,
            mask=PIXELS,
            mask_ns=frame.captured_ns if own else frame.captured_ns - 16_000_000,
            crop=None,
            verdict=Verdict.ON_TIME if own else Verdict.SKIPPED,
            reason="" if own else f"cannot decode {PATIENT}",
            emitted_late=i == 7,
            state=State.LIVE if own else State.AI_LATE,
            scores=(),
            shown=own,
            withheld="" if own else PATIENT,
            model_id="m",
            timing=Timing(infer_ns=5_000_000, total_ns=(8 + i % 5) * 1_000_000),
        )
        ledger.emitted(replace(seg, notes=(PATIENT,)))
    ledger.lost(PATIENT)
    ledger.restarted("HANG")
    return ledger


def exposed(collector: Collector) -> str:
    server = MetricsServer(collector, port=0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
            return text
    finally:
        server.close()


def badly_named(text: str) -> set[str]:
    """Names without a unit, or of a counter without _total."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    return {
        name
        for name, kind in kinds.items()
        if name not in PURE
        and (not name.endswith(UNITS) or (kind == "counter") != name.endswith("_total") or "milli" in name)
    }


def test_the_endpoint_gives_what_happened_and_no_name() -> None:
    text = exposed(Collector(filled(), lambda: HEALTH, lambda: {"video": 3}))
    for line in (
        'edge3vt_frames_total{verdict="on_time"} 450.0',
        'edge3vt_frames_total{verdict="skipped"} 151.0',
        'edge3vt_deliveries_total{kind="emitted_late"} 1.0',
        'edge3vt_no_own_mask_total{reason="other"} 151.0',
        'edge3vt_notices_total{state="AI LATE"} 150.0',
        'edge3vt_restarts_total{code="HANG"} 1.0',
        'edge3vt_sink_dropped_frames_total{sink="video"} 3.0',
        'edge3vt_frame_seconds_bucket{le="0.01"} 360.0',
        'edge3vt_frame_seconds_bucket{le="+Inf"} 600.0',
        "edge3vt_frame_seconds_count 600.0",
        "edge3vt_frame_seconds_sum 6.0",
        'edge3vt_stage_seconds_sum{stage="infer"} 2.25',
        "edge3vt_resident_memory_bytes 4.194304e+08",
        "edge3vt_temperature_celsius 71.5",
        "edge3vt_throttled 1.0",
        "edge3vt_growth_alarm 1.0",
    ):
        assert line in text.splitlines(), line
    assert badly_named(text) == set()
    assert PATIENT not in text
    assert not any(thread.is_alive() and "serve_forever" in thread.name for thread in threading.enumerate())


def test_a_bad_name_would_be_seen() -> None:
    assert badly_named("# TYPE edge3vt_total_ms gauge\n# TYPE edge3vt_frames counter") == {
        "edge3vt_total_ms",
        "edge3vt_frames",
    }


def test_it_is_for_this_machine_alone_and_says_what_to_do() -> None:
    collector = Collector(Ledger(16.7))
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0 is not this machine alone; listen at 127"):
        MetricsServer(collector, port=0, host="0.0.0.0")
    with pytest.raises(ConfigError, match="expected an IP address"):
        MetricsServer(collector, port=0, host="cart.local")
    server = MetricsServer(collector, port=0)
    with pytest.raises(ConfigError, match=rf"port {server.port}: cannot listen .*; choose another port"):
        MetricsServer(collector, port=server.port)
    server.close()
    MetricsServer(collector, port=server.port).close()  # and is free again


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(BackendMissingError, match=r"edge3vt\[metrics\]"):
        MetricsServer(Collector(Ledger(16.7)))


def test_a_line_a_second_holds_counts_and_no_name(tmp_path: Path) -> None:
    path, flushed = tmp_path / "stream.jsonl", threading.Event()
    ticker = Ticker(filled(), Rows(path), lambda: HEALTH, also=flushed.set, every_ns=2_000_000)
    assert flushed.wait(5)
    ticker.close()
    text = path.read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert rows[-1]["frames"] == 601
    assert rows[-1]["total_ms"]["p99"] == pytest.approx(12, rel=0.01)
    assert rows[-1]["skipped"] == {"other": 151}
    assert rows[-1]["temperature_celsius"] == 71.5
    assert PATIENT not in text


def test_the_ticker_waits_its_second(tmp_path: Path) -> None:
    path = tmp_path / "stream.jsonl"
    Ticker(filled(), Rows(path)).close()
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


def test_a_row_while_nothing_has_happened() -> None:
    empty = row(Ledger(None), None)
    assert empty["frames"] == 0
    assert empty["total_ms"] == {"p50": None, "p99": None, "max": None}


def test_the_ladder_and_what_others_keep_are_told_too(tmp_path: Path) -> None:
    def gauges() -> list[tuple[str, str, float]]:
        return [("ladder_rung", "The rung.", 1), ("input_saturated_ratio", "Of the input.", 0.25)]

    text = exposed(Collector(filled(), moves=lambda: {"smaller engine": 3}, gauges=gauges))
    assert 'edge3vt_ladder_moves_total{rung="smaller engine"} 3.0' in text
    assert "edge3vt_ladder_rung 1.0" in text
    assert "edge3vt_input_saturated_ratio 0.25" in text
    assert badly_named(text) == set()
    ticker = Ticker(Ledger(16.7), Rows(tmp_path / "rows.jsonl"), gauges=gauges)
    ticker.close()
    assert json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[-1])["input_saturated_ratio"] == 0.25
