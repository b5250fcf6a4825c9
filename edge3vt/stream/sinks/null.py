"""A sink that only counts."""

from __future__ import annotations

from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.sinks import Sink


class NullSink(Sink):
    """Takes everything and keeps nothing."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def written(self) -> int:
        return self._count

    @property
    def dropped(self) -> int:
        return 0

    def __call__(self, seg: Segmentation) -> None:
        self._count += 1

    def close(self) -> None:
        pass
