"""A file that Perfetto opens, after a kill too; bounded on disk and in memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict
from edge3vt.stream import trace
from edge3vt.stream.lane import LaneResult
from edge3vt.stream.rows import numbered
from edge3vt.stream.trace import TRACKS, Trace, repair

PATIENT = "MUSTERFRAU^ERIKA"
PIXELS = np.zeros((8, 8), np.uint8)
MS = 1_000_000
REQUIRED = {  # "Trace Event Format": fields by phase, each with its type
    "X": {"name": str, "cat": str, "ts": float, "dur": float, "pid": int, "tid": int},
    "b": {"name": str, "cat": str, "ts": float, "id": int, "pid": int, "tid": int},
    "e": {"name": str, "cat": str, "ts": float, "id": int, "pid": int, "tid": int},
    "M": {"name": str, "pid": int, "tid": int, "args": dict},
}
CHILD = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_trace import frame
from edge3vt.stream import trace
trace.FLUSH_NS = 1_000_000
out = trace.Trace(Path(sys.argv[1]))
for i in range(200):
    frame(out, i)
print("written", flush=True)
while True:
    frame(out, i)
"""


def frame(out: Trace, index: int) -> None:
    """What the loop tells of one frame that was captured at 16 ms times its number and took 9 ms."""
    captured = index * 16 * MS
    out.result(
        LaneResult(
            index, captured, 0, captured + 7 * MS, Crop(0, 0, 8, 8), PIXELS, (), None, "m", MS, 3 * MS, MS, PATIENT
        )
    )
    out.emitted(
        Segmentation(
            frame=Frame(index, captured, PIXELS),
            mask=None,
            mask_ns=None,
            crop=None,
            verdict=Verdict.ON_TIME,
            reason=PATIENT,
            emitted_late=False,
            state=State.LIVE,
            scores=(),
            shown=False,
            withheld=PATIENT,
            model_id="m",
            timing=Timing(age_ns=MS, compose_ns=2 * MS, total_ns=9 * MS),
        )
    )
    out.sink(index, captured + 9 * MS, captured + 10 * MS)


def faults(events: list[dict[str, Any]]) -> list[str]:
    """What the format does not allow: fields, ends without a beginning, spans of a track that overlap half."""
    out, open_spans, ends = [], dict[tuple[str, int], float](), dict[int, float]()
    for event in events:
        if not event:
            continue
        for name, kind in REQUIRED.get(event.get("ph", ""), {"a known ph": str}).items():
            if not isinstance(event.get(name), kind):
                out.append(f"{event}: {name}")
        if event["ph"] == "b":
            open_spans[event["name"], event["id"]] = event["ts"]
        if event["ph"] == "e" and open_spans.pop((event["name"], event["id"]), float("inf")) > event["ts"]:
            out.append(f"{event}: ends before it begins")
    for event in sorted((e for e in events if e.get("ph") == "X"), key=lambda e: e["ts"]):
        if event["ts"] < ends.get(event["tid"], 0.0) - 1e-3:
            out.append(f"{event}: overlaps")
        ends[event["tid"]] = event["ts"] + (event["dur"] or 0.0)
    return out + [f"{key}: never ends" for key in open_spans]


def test_a_trace_is_as_the_format_asks_and_names_its_tracks(tmp_path: Path) -> None:
    out = Trace(tmp_path / "trace.json")
    for i in range(50):
        frame(out, i)
    out.close()
    text = (tmp_path / "trace.json").read_text(encoding="utf-8")
    events = json.loads(text)
    assert faults(events) == []
    assert {e["args"].get("name") for e in events if e["ph"] == "M"} == {"edge3vt", *TRACKS, None}
    of_third = {e["name"]: e["ts"] for e in events if e.get("args", {}).get("frame") == 3 and e["ph"] != "e"}
    assert of_third == {
        "capture": 48_000,
        "frame on_time": 48_000,
        "prepare": 50_000,
        "infer": 51_000,
        "mask": 54_000,
        "compose": 55_000,
        "sink": 57_000,
    }
    assert PATIENT not in text
    assert out.dropped == out.lost == 0


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({"dur": None}, "dur"),
        ({"ph": "Q"}, "a known ph"),
        ({"ts": 1.0, "dur": 9e9}, "overlaps"),
        ({"ph": "e", "id": 999}, "ends before"),
    ],
)
def test_the_check_sees_a_planted_fault(tmp_path: Path, planted: dict[str, Any], said: str) -> None:
    out = Trace(tmp_path / "trace.json")
    frame(out, 1)
    frame(out, 2)
    out.close()
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    first = next(i for i, e in enumerate(events) if e.get("ph") == "X")
    events[first] = events[first] | planted
    assert any(said in fault for fault in faults(events))


def test_a_kill_leaves_a_trace_that_opens_and_the_next_start_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(Path(__file__).parent)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written\n"
        while path.stat().st_size < 50_000:
            pass
        child.send_signal(signal.SIGKILL)
    with path.open("ab") as file:
        file.write(b'{"name": "comp')  # and the power goes in the middle of a line
    Trace(path).close()
    events = json.loads(numbered(path, 1).read_text(encoding="utf-8"))
    assert [fault for fault in faults(events) if "never ends" not in fault] == []
    assert sum(event.get("ph") == "X" for event in events) > 100
    json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("left", [b"", b"[", b"[\n", b'[\n{"a": 1},\n{"b"', b'[\n{"a": 1},\n' + trace._END])
def test_whatever_is_left_is_mended(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(left)
    repair(path)
    assert json.loads(path.read_text(encoding="utf-8"))[-1]["ph"] == "M"


def test_files_and_queue_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "FLUSH_NS", 500_000)
    out = Trace(tmp_path / "trace.json", max_bytes=40_000)
    for i in range(2000):
        frame(out, i)
    out.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["trace.1.json", "trace.json"]
    for file in files:
        json.loads(file.read_text(encoding="utf-8"))
    assert sum(file.stat().st_size for file in files) <= 40_000 + 2 * len(trace._END)


def test_a_thread_that_cannot_keep_up_drops_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "PENDING", 20)
    monkeypatch.setattr(trace, "FLUSH_NS", 10**12)
    out = Trace(tmp_path / "trace.json")
    for i in range(100):
        frame(out, i)
    assert len(out._spans) + len(out._async) <= 42
    assert out.dropped > 600
    out.close()


def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be written .*; choose another output"):
        Trace(tmp_path)
