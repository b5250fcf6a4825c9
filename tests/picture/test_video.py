from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Layout, Pixels
from edge3vt.picture.video import open_video

CLIPS = Path(__file__).parents[3] / "shared" / "data" / "clips"


def record(
    path: Path,
    pts: list[int] | None = None,
    *,
    picture: Pixels | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    matrix: tuple[str, int] = ("ITU601", 6),
    sizes: tuple[tuple[int, int], ...] = ((96, 64),),
) -> Path:
    """A video of 1/1000 s ticks."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height = sizes[0]
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix[1], 1
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "1"}
        noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        for at in pts if pts is not None else range(0, 1200, 40):
            rgb = np.roll(noise, at, axis=1) if picture is None else picture
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt, dst_colorspace=matrix[0])
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_size_rate_and_count(tmp_path: Path) -> None:
    clip = open_video(record(tmp_path / "a.mp4"))
    assert (clip.width, clip.height, clip.frames, clip.name) == (96, 64, 30, "a.mp4")
    assert clip.rate_hz == pytest.approx(25)
    assert clip.steady
    assert clip.notes == ()
    assert (clip.region, clip.mm_per_px) == (None, None)


def test_a_title_in_another_encoding_is_no_damage(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mkv")
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"\xc4vf\xfc"))
    assert open_video(path).frames == 30


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mov")
    data = path.read_bytes()
    assert b"avc1" in data
    path.write_bytes(data.replace(b"avc1", b"none"))
    with pytest.raises(DataError, match="codec is not known"):
        open_video(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_presentation_times_are_true(tmp_path: Path, suffix: str) -> None:
    pts = [100, 140, 150, 230, 231, 400]
    clip = open_video(record(tmp_path / f"a{suffix}", pts))
    pictures = list(clip.pictures())
    assert [round(p.time_ns / 1e6) for p in pictures] == [at - 100 for at in pts]
    assert clip.frames == 6
    assert not clip.steady
    assert clip.rate_hz == pytest.approx(5 / 0.3, rel=0.01)


def test_pictures_can_be_read_again(tmp_path: Path) -> None:
    clip = open_video(record(tmp_path / "a.mp4"))
    first, second = ([p.pixels for p in clip.pictures()] for _ in range(2))
    assert np.array_equal(np.stack(first), np.stack(second))


@pytest.mark.parametrize("matrix", [("ITU601", 6), ("ITU709", 1)])
def test_colours_follow_the_files_matrix(tmp_path: Path, matrix: tuple[str, int]) -> None:
    colour = np.full((64, 96, 3), (200, 40, 90), np.uint8)
    picture = next(open_video(record(tmp_path / "a.mp4", picture=colour, matrix=matrix)).pictures())
    assert picture.layout is Layout.RGB
    assert np.abs(picture.pixels.astype(int) - colour).max() <= 4


def test_grey_video_stays_grey(tmp_path: Path) -> None:
    colour = np.repeat(np.arange(96, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    clip = open_video(record(tmp_path / "a.mkv", picture=colour, codec="ffv1", pix_fmt="gray"))
    picture = next(clip.pictures())
    assert picture.layout is Layout.GRAY
    assert picture.pixels.shape == (64, 96)


def bad_file(kind: str, path: Path) -> None:
    match kind:
        case "empty":
            path.touch()
        case "text":
            path.write_text("this is text\n" * 40)
        case "playlist":
            path.write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
        case "cut" | "cut late" | "no index":
            data = record(path).read_bytes()
            path.write_bytes(data[: {"cut": len(data) // 2, "cut late": len(data) - 500, "no index": 200}[kind]])
        case "picture":
            import cv2

            path.write_bytes(cv2.imencode(".png", np.zeros((64, 64), np.uint8))[1].tobytes())
        case "sound":
            with av.open(str(path), "w", format="mp4") as container:
                stream = container.add_stream("aac", rate=44100)
                sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                sound.sample_rate = 44100
                container.mux(stream.encode(sound))
                container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", "empty (0 bytes)"),
        ("text", "no readable video"),
        ("playlist", "no readable video"),
        ("picture", "no readable video"),
        ("no index", "holds no video"),
        ("cut", "truncated"),
        ("cut late", "truncated"),
        ("sound", "holds no video"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path, kind: str, said: str) -> None:
    path = tmp_path / "a.mp4"
    bad_file(kind, path)
    with pytest.raises(DataError) as refused:
        open_video(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_ends_between_two_pictures_is_truncated(tmp_path: Path) -> None:
    """No packet is incomplete here; only the index tells of more."""
    path = record(tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    end = sum(packets[14])
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(DataError, match="truncated near picture 15"):
        open_video(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        open_video(tmp_path / "none.mp4")


def test_a_name_with_a_colon_is_a_file(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp4").rename(tmp_path / "http:b.mp4")
    assert open_video(path).frames == 30


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the shared clips are not here")
@pytest.mark.parametrize(
    ("name", "frames", "rate_hz"),
    [
        ("Reg_pat2Image_134441.mpeg", 215, 25),
        ("Reg_Image_18122_crop.mp4", 187, 19.103),
        ("Cov_convex_volpecelli_sonographic_v1.mov", 403, 39),
    ],
)
def test_real_clips(name: str, frames: int, rate_hz: float) -> None:
    clip = open_video(CLIPS / name)
    times = [p.time_ns for p in clip.pictures()]
    assert clip.frames == len(times) == frames
    assert times[-1] / 1e9 == pytest.approx((frames - 1) / rate_hz, rel=1e-3)
    assert np.all(np.diff(times) > 0)
    assert clip.rate_hz == pytest.approx(rate_hz, rel=1e-3)
