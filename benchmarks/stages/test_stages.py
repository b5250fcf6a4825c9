"""Prepare, engines, mask, compose, the hand-over between processes, and the encoder.

python -m pytest benchmarks/stages --benchmark-storage=benchmarks/results/stages --benchmark-save=NAME
python -m pytest benchmarks/stages --benchmark-storage=benchmarks/results/stages --benchmark-compare
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3vt.bench.form import resized
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.table import CalibrationTable
from edge3vt.core.documents import read_json
from edge3vt.core.frame import Crop, Frame, Layout
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict
from edge3vt.core.session import Session
from edge3vt.engine.buffers import Buffers, empty
from edge3vt.engine.fake import FakeSession
from edge3vt.engine.model import read_model
from edge3vt.engine.open import open_model
from edge3vt.picture.colour import to_rgb
from edge3vt.picture.crop import acquire, cut, track
from edge3vt.picture.draw import Composer
from edge3vt.picture.mask import make_mask
from edge3vt.stream.process import ProcessLane
from edge3vt.stream.sinks.encoder import H264

ASSET = Path(__file__).parents[2] / "edge3vt" / "assets" / "student-s384"
SIZES = (256, 384)
Benchmark = Any  # of pytest-benchmark, which ships no types


@cache
def model(precision: str, size: int) -> bytes:
    data = (ASSET / "student.onnx").read_bytes()
    if precision == "int8":
        data = insert(data, read_json(CalibrationTable, ASSET / "table.json"))
    return resized(data, size)


def opened(runtime: str, precision: str, size: int, frame: Frame) -> tuple[Session, Buffers]:
    """A session that has seen the frame, and its buffers."""
    if runtime == "openvino":
        pytest.importorskip("openvino")
    read = read_model(model(precision, size))
    session = open_model(read.data, read.spec, runtime)  # type: ignore[arg-type]
    buffers = empty(read.spec)
    cut(frame, acquire(frame, size), buffers.pixels[0, 0])
    session.run(buffers.pixels, buffers.logits, buffers.view)
    return session, buffers


def segmentation(frame: Frame, size: int) -> tuple[Segmentation, Session]:
    session, buffers = opened("openvino", "int8", size, frame)
    mask, scores = make_mask(buffers.logits, session.spec.stride)
    return Segmentation(
        frame=frame,
        mask=mask,
        mask_ns=frame.captured_ns,
        crop=acquire(frame, size),
        verdict=Verdict.ON_TIME,
        reason="",
        emitted_late=False,
        state=State.LIVE,
        scores=scores,
        shown=True,
        withheld="",
        model_id=session.spec.model_id,
        timing=Timing(total_ns=2_000_000),
    ), session


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["acquire", "track"])
def test_prepare(benchmark: Benchmark, frame: Frame, size: int, mode: str) -> None:
    crop: Crop | None = acquire(frame, size)
    assert crop is not None
    if mode == "track":
        found = np.zeros((size, size), np.uint8)
        found[size // 3 : size // 2, size // 3 : size // 2] = 1
        crop = track(found, crop, frame.bounds, size, frame.mm_per_px)
        assert crop is not None
    out = np.empty((size, size), np.uint8)
    benchmark(cut, frame, crop, out)
    assert out.any()


@pytest.mark.parametrize("layout", [Layout.YUYV, Layout.NV12])
def test_prepare_from_a_capture_card(benchmark: Benchmark, frame: Frame, layout: Layout) -> None:
    grey, chroma = frame.pixels, np.full_like(frame.pixels, 128)
    pixels = np.dstack([grey, chroma]) if layout is Layout.YUYV else np.concatenate([grey, chroma[: len(grey) // 2]])
    captured = Frame(0, 0, pixels, layout, full_range=False, region=frame.region)
    out = np.empty((384, 384), np.uint8)
    benchmark(cut, captured, acquire(captured, 384), out)
    assert out.any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_engine(benchmark: Benchmark, frame: Frame, runtime: str, precision: str, size: int) -> None:
    session, buffers = opened(runtime, precision, size, frame)
    benchmark(session.run, buffers.pixels, buffers.logits, buffers.view)
    session.close()
    assert np.isfinite(buffers.logits).all()


@pytest.mark.parametrize("size", SIZES)
def test_mask(benchmark: Benchmark, frame: Frame, size: int) -> None:
    session, buffers = opened("openvino", "int8", size, frame)
    mask, _ = benchmark(make_mask, buffers.logits, session.spec.stride)
    assert mask.any()


@pytest.mark.parametrize("size", SIZES)
def test_compose(benchmark: Benchmark, frame: Frame, size: int) -> None:
    seg, session = segmentation(frame, size)
    compose = Composer(session.spec)
    compose.warm(frame.width, frame.height)
    picture = benchmark(compose, seg)
    assert (picture != to_rgb(frame)).any()


@pytest.fixture
def lane() -> Iterator[ProcessLane]:
    lane = ProcessLane(partial(FakeSession, read_model(model("fp32", 256)).spec))
    yield lane
    lane.close()


def test_hand_over_to_a_process_and_back(benchmark: Benchmark, frame: Frame, lane: ProcessLane) -> None:
    """With crop and mask making there, and an engine that takes no time; both processes share a core."""
    crop, index = acquire(frame, 256), 0

    def there_and_back() -> None:
        nonlocal index
        index += 1
        lane.offer(Frame(index, index, frame.pixels, region=frame.region), crop)
        assert lane.wait(None)
        result = lane.newest()
        assert result is not None
        assert result.index == index

    benchmark(there_and_back)


def test_encoder(benchmark: Benchmark, frame: Frame, tmp_path: Path) -> None:
    encoder, picture, index = H264(tmp_path / "out.mp4", ""), to_rgb(frame), 0

    def encode() -> None:
        nonlocal index
        index += 1
        encoder(picture, index * 16_666_667)

    benchmark.pedantic(encode, rounds=60, warmup_rounds=3)
    encoder.finish()
