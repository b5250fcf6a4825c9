"""A video file as a source."""

from __future__ import annotations

from pathlib import Path

from edge3vt.core.clock import Clock
from edge3vt.picture.video import open_video
from edge3vt.stream.sources.pace import Replay


class VideoSource(Replay):
    """The pictures of a video file at their presentation times. Raises what ``open_video`` raises."""

    def __init__(self, path: Path, clock: Clock, *, paced: bool) -> None:
        super().__init__(open_video(path), clock, paced=paced)
