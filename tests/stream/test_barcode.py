from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.frame import Crop, Frame, Layout, Pixels
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.colour import to_rgb
from edge3vt.picture.draw import Composer
from edge3vt.stream.barcode import CELLS, draw, place, read
from edge3vt.stream.sinks.encoder import H264

NUMBERS = (0, 1, 59, 2**31, 2**32 - 1, 0x5A5A5A5A)


def picture(number: int, width: int = 1024, height: int = 768) -> Pixels:
    luma = np.random.default_rng(number).integers(0, 256, (height, width), dtype=np.uint8)
    draw(luma, number)
    return luma


@pytest.mark.parametrize("size", [(CELLS * 4, 16), (177, 97), (320, 240), (640, 480), (1024, 768), (1920, 1080)])
def test_what_is_drawn_is_read(size: tuple[int, int]) -> None:
    assert [read(picture(number, *size)) for number in NUMBERS] == list(NUMBERS)


def test_numbers_go_round() -> None:
    assert read(picture(2**32 + 7)) == 7


def test_limited_range_is_read_too() -> None:
    luma = np.full((240, 320), 128, np.uint8)
    draw(luma, 4711, black=16, white=235)
    assert read(luma) == 4711


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_no_code_is_no_number(grey: int) -> None:
    assert read(np.full((240, 320), grey, np.uint8)) is None
    assert read(np.random.default_rng(1).integers(0, 256, (240, 320), dtype=np.uint8)) is None
    assert read(np.zeros((8, 8), np.uint8)) is None


def test_a_picture_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="100x100 px hold no bar code"):
        draw(np.zeros((100, 100), np.uint8), 1)


def test_every_wrong_bit_is_seen() -> None:
    """The planted fault: a bit turned over must never read as another number."""
    luma = picture(123_456)
    at = place(1024, 768)
    cell = at.width // CELLS
    for index in range(CELLS):
        broken = luma.copy()
        x = at.x0 + index * cell
        broken[: at.y1, x : x + cell] ^= 255
        assert read(broken) is None


@pytest.mark.parametrize("layout", [Layout.GRAY, Layout.NV12, Layout.YUYV])
def test_it_survives_overlay_and_recording(tmp_path: Path, layout: Layout) -> None:
    """Composed with a mask, then H.264 as the recorder writes it: every number is read from the file."""
    width, height = 640, 480
    spec = ModelSpec(1, "code", "1", CLASS_NAMES, 96, 96, 4, False, True, "none")
    compose, path = Composer(spec), tmp_path / "a.mp4"
    encoder = H264(path, "test")
    mask = np.zeros((96, 96), np.uint8)
    mask[30:60, 20:70] = 1
    for number in range(24):
        luma = picture(number, width, height)
        match layout:
            case Layout.NV12:
                pixels = np.concatenate([luma, np.full((height // 2, width), 128, np.uint8)])
            case Layout.YUYV:
                pixels = np.dstack([luma, np.full_like(luma, 128)])
            case _:
                pixels = luma
        frame = Frame(number, number * 16_666_667, pixels, layout)
        seg = Segmentation(
            frame=frame,
            mask=mask,
            mask_ns=frame.captured_ns,
            crop=Crop(80, 0, 480, 96),
            verdict=Verdict.ON_TIME,
            reason="",
            emitted_late=False,
            state=State.LIVE,
            scores=(1.0,) * 6,
            shown=True,
            withheld="",
            model_id="code 1",
        )
        composed = compose(seg)
        assert not np.array_equal(composed, to_rgb(frame))
        encoder(composed, frame.captured_ns)
    encoder.finish()
    with av.open(str(path)) as container:
        codes = [read(f.to_ndarray(format="gray")) for f in container.decode(video=0)]
    assert codes == list(range(24))
