from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.stream.sinks import callback
from edge3vt.stream.sinks.callback import CallbackSink
from edge3vt.stream.sinks.folder import FolderSink
from edge3vt.stream.sinks.null import NullSink


def seg(index: int) -> Segmentation:
    picture = np.full((8, 12, 3), index % 250, np.uint8)
    frame = Frame(index, index, picture[..., 0])
    return Segmentation(
        frame, None, None, None, Verdict.ON_TIME, "", False, State.LIVE, (), False, "", "model", picture=picture
    )


def test_it_is_called_with_each_in_order() -> None:
    seen: list[Segmentation] = []
    sent = [seg(index) for index in range(20)]
    with CallbackSink(seen.append, depth=20) as sink:
        for each in sent:
            sink(each)
    assert all(a is b for a, b in zip(seen, sent, strict=True))
    assert (sink.written, sink.dropped, sink.failed, sink.notice) == (20, 0, 0, "")


def test_what_it_raises_is_counted_and_it_is_called_again() -> None:
    seen: list[int] = []

    def call(each: Segmentation) -> None:
        seen.append(each.frame.index)
        if each.frame.index % 2:
            raise ValueError(f"odd {each.frame.index}")

    with CallbackSink(call, depth=10) as sink:
        for index in range(10):
            sink(seg(index))
    assert seen == list(range(10))
    assert (sink.written, sink.failed, str(sink.error), sink.notice) == (5, 5, "odd 9", "CALLBACK FAILED")


def test_a_stuck_sink_holds_up_neither_the_others_nor_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback, "CLOSE_S", 0.1)
    go = threading.Event()
    stuck, seen = CallbackSink(lambda each: go.wait(60)), []
    other = CallbackSink(lambda each: seen.append(each.frame.index), depth=100)
    with stuck, other, NullSink() as null, FolderSink(tmp_path / "out", overwrite=False, block=True) as folder:
        for index in range(50):
            for sink in (stuck, null, folder, other):
                sink(seg(index))
    assert (null.written, folder.written, len(seen)) == (50, 50, 50)
    assert stuck.written == 0
    assert stuck.dropped >= 49
    go.set()
