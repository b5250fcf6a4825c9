"""A recording cut off at any byte plays, and loses its last fragment at most."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.picture.video import open_video
from edge3vt.stream.sinks.encoder import Recording
from edge3vt.stream.sinks.fragments import salvage, salvage_all, side_of, whole_length

RATE_HZ, SECONDS = 30, 5

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{here!r}]
from test_sink_fragments import seg
from edge3vt.stream.sinks.encoder import EncoderProcess
if __name__ == "__main__":
    encoder = EncoderProcess(Path(sys.argv[1]), reserve_bytes=0)
    print(encoder._process.pid, flush=True)
    index = 0
    while True:
        encoder(seg(index), None)
        index += 1
"""


def seg(index: int) -> Segmentation:
    pixels = np.random.default_rng(index % 50).integers(0, 255, (48, 64), dtype=np.uint8)
    frame = Frame(index, index * NS_PER_S // RATE_HZ, pixels)
    return Segmentation(frame, None, None, None, Verdict.ON_TIME, "", False, State.LIVE, (), False, "", "model")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The bytes of a recording and of its lines."""
    path = tmp_path_factory.mktemp("recorded") / "a.mp4"
    recording = Recording(path, reserve_bytes=0)
    for index in range(RATE_HZ * SECONDS):
        recording(seg(index), None)
    recording.finish()
    return path.read_bytes(), side_of(path).read_bytes()


def fragments(data: bytes) -> list[tuple[int, int]]:
    """(end in bytes, pictures until then) of each whole fragment, by the container's own index."""
    ends, at = [0], 0
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += size
        if kind == b"mdat":
            ends.append(at)
    return [(end, min(27 * count, RATE_HZ * SECONDS)) for count, end in enumerate(ends)]  # 0.9 s each


def in_a_head(data: bytes, offset: int) -> bool:
    """Whether the file breaks off in the head of a fragment: FFmpeg then opens it only after it is salvaged.

    A kill does not do that: a head leaves in one write.
    """
    at = data.rfind(b"moof", 0, offset + 4) - 4
    return at >= 0 and at <= offset < at + int.from_bytes(data[at : at + 4], "big")


def played(path: Path) -> int:
    """Pictures that a player shows of a file that breaks off."""
    count = 0
    with av.open(str(path)) as video, suppress(av.error.FFmpegError):
        for _ in video.decode(video=0):
            count += 1
    return count


def cut_off(folder: Path, data: bytes, lines: bytes, offsets: list[int]) -> None:
    for offset in offsets:
        partial = folder / f"a.{offset}.recording.mp4"
        partial.write_bytes(data[:offset])
        side_of(partial).write_bytes(lines)
        promised = max(count for end, count in fragments(data) if end <= offset)
        if promised and not in_a_head(data, offset):
            assert played(partial) >= promised  # as it lies there
        kept = salvage(partial, folder / "a.mp4")
        assert (kept is not None) == (promised > 0)
        if kept is not None:
            assert open_video(kept).frames == promised
            assert len(list(open_video(kept).pictures())) == promised
            assert side_of(kept).read_bytes() == lines
            kept.unlink()
            side_of(kept).unlink()
        assert list(folder.iterdir()) == []


def offsets(data: bytes, count: int) -> list[int]:
    return sorted(np.random.default_rng(count).integers(0, len(data), count).tolist())


def test_cut_off_at_any_byte_it_plays(tmp_path: Path, recorded: tuple[bytes, bytes]) -> None:
    data, lines = recorded
    edges = [at for end, _ in fragments(data)[1:3] for at in (end - 1, end, end + 1)]
    cut_off(tmp_path, data, lines, [*offsets(data, 20), *edges])


@pytest.mark.slow
def test_cut_off_at_200_bytes_it_plays(tmp_path: Path, recorded: tuple[bytes, bytes]) -> None:
    cut_off(tmp_path, *recorded, offsets(recorded[0], 200))


def test_that_test_sees_a_recording_without_fragments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: tuple[bytes, bytes]
) -> None:
    monkeypatch.setattr("edge3vt.stream.sinks.encoder.MOVFLAGS", "+faststart")
    recording = Recording(tmp_path / "b.mp4", reserve_bytes=0)
    for index in range(RATE_HZ * SECONDS):
        recording(seg(index), None)
    recording.finish()
    data = (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "plain").mkdir()
    with pytest.raises((AssertionError, av.error.FFmpegError)):
        cut_off(tmp_path / "plain", data, b"", [len(data) * 4 // 5, len(data)])


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_a_killed_recording_plays(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(here=str(Path(__file__).parent)))
    partial = tmp_path / "a.1.recording.mp4"
    with subprocess.Popen([sys.executable, str(script), str(partial)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        encoder = int(process.stdout.readline())
        while not side_of(partial).exists() or side_of(partial).read_bytes().count(b"\n") < 100:
            assert process.poll() is None
        os.kill(encoder, signal.SIGKILL)
        process.kill()
    while (kept := salvage(partial, tmp_path / "a.mp4")) is None:
        assert partial.exists()  # until the killed one has let go of it
    lines = [json.loads(line) for line in side_of(kept).read_text().splitlines()[1:-1]]
    frames = open_video(kept).frames
    assert len(lines) + 1 - 28 <= frames <= len(lines) + 2


def test_garbage_holds_no_fragment(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    for index in range(200):
        path = tmp_path / str(index)
        path.write_bytes(noise.integers(0, 256, int(noise.integers(0, 400)), dtype=np.uint8).tobytes())
        with path.open("rb") as file:
            assert whole_length(file.fileno()) == 0


def test_a_kill_between_the_names_of_video_and_lines_is_mended(tmp_path: Path, recorded: tuple[bytes, bytes]) -> None:
    video, lines = recorded
    path = tmp_path / "a.mp4"
    path.write_bytes(video)
    side_of(path).write_bytes(b"of the one before\n")
    (tmp_path / "a.99.recording.jsonl").write_bytes(lines)
    assert salvage_all(path) == []
    assert side_of(path).read_bytes() == lines
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "a.mp4"]
    (tmp_path / "a.partial-1.jsonl").write_bytes(lines)  # named by a salvage that was killed before the video
    (tmp_path / "a.98.recording.mp4").write_bytes(video)
    assert salvage_all(path) == [tmp_path / "a.partial-1.mp4"]
    assert (tmp_path / "a.partial-1.jsonl").read_bytes() == lines
    assert side_of(path).read_bytes() == lines
