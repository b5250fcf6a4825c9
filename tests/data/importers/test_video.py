from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edge3vt.core.errors import DataError
from edge3vt.data.importers.video import find, read

SHARED = Path(__file__).parents[4] / "shared" / "data" / "clips"


def video(path: Path, levels: list[int], pixel_format: str = "yuv420p", codec: str = "libx264") -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        for level in levels:
            picture = np.full((48, 64, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_a_cine_of_grey_levels(tmp_path: Path) -> None:
    raws = list(read(video(tmp_path / "a.mp4", levels := [0, 60, 120, 180, 240])))
    assert [raw.frame for raw in raws] == [0, 1, 2, 3, 4]
    assert [float(raw.picture.mean()) for raw in raws] == pytest.approx(levels, abs=3)
    assert {raw.picture.shape for raw in raws} == {(48, 64)}
    assert raws[0].facts["rate_hz"] == pytest.approx(20)
    assert (raws[0].mask, raws[0].region, raws[0].mm_per_px, raws[0].patient_key) == (None, None, None, None)


def test_grey_video_is_of_full_range_too(tmp_path: Path) -> None:
    raws = list(read(video(tmp_path / "a.avi", [0, 255], "gray", "ffv1")))
    assert [float(raw.picture.mean()) for raw in raws] == pytest.approx([0, 255], abs=3)


def test_videos_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.MP4", "a.mkv", ".hidden.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in find(tmp_path)] == ["a.mkv", "2.MP4"]
    assert find(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(DataError, match="no readable video"):
        list(read(tmp_path / "a.mkv"))
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no videos"):
        find(empty)
    with pytest.raises(DataError, match="is not there"):
        find(tmp_path / "none")


def test_real_clips_are_read() -> None:
    if not SHARED.is_dir():
        pytest.skip("no real clips here")
    counts = {path.name: sum(1 for _ in read(path)) for path in find(SHARED)[:3]}
    assert len(counts) == 3
    assert min(counts.values()) > 10
