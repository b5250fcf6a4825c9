from __future__ import annotations

import numpy as np

from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.stream.sinks.null import NullSink


def test_it_counts() -> None:
    frame = Frame(0, 0, np.zeros((4, 4), np.uint8))
    seg = Segmentation(frame, None, None, None, Verdict.LATE, "", False, State.LIVE, (), False, "", "model")
    with NullSink() as sink:
        for _ in range(3):
            sink(seg)
    assert (sink.written, sink.dropped, sink.closed) == (3, 0, False)
