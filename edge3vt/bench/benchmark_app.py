"""OpenVINO's own benchmark_app on an engine's ONNX file: a second opinion on the engine alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ARGUMENTS = ("-d", "CPU", "-hint", "none", "-api", "sync", "-nstreams", "1", "-nthreads", "1", "-nireq", "1",
             "-infer_precision", "f32", "-json_stats", "-report_type", "no_counters")  # fmt: skip
RUN = "from openvino.tools.benchmark.main import main; main()"


@dataclass(frozen=True, slots=True)
class BenchmarkApp:
    """Its medians in ms, run by run, and their median. skipped: why there are none."""

    arguments: str
    medians_ms: tuple[float, ...]
    p50_ms: float | None
    skipped: str = ""


def benchmark_app(model: Path, seconds: float) -> tuple[float | None, str]:
    """The median latency in ms of one run on this process's cores; or None, and why."""
    with tempfile.TemporaryDirectory() as folder:
        told = ["-m", str(model), "-t", str(max(round(seconds), 1)), "-report_folder", folder, *ARGUMENTS]
        ran = subprocess.run(
            [sys.executable, "-c", RUN, *told], check=False, capture_output=True, text=True, env=_one_thread()
        )
        report = Path(folder) / "benchmark_report.json"
        try:
            results = json.loads(report.read_text(encoding="utf-8"))["execution_results"]
            return float(results["latency (ms)"]), ""  # the median, as -latency_percentile is 50
        except (OSError, ValueError, KeyError):
            lines = (ran.stderr or ran.stdout).strip().splitlines()
            return None, lines[-1][:200] if lines else f"ended with {ran.returncode}"


def gathered(runs: list[tuple[float | None, str]]) -> BenchmarkApp:
    """The record of some runs."""
    medians = tuple(ms for ms, _ in runs if ms is not None)
    skipped = "" if medians else next((why for _, why in runs if why), "was not run")
    return BenchmarkApp(" ".join(ARGUMENTS), medians, median(medians) if medians else None, skipped)


def _one_thread() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}
