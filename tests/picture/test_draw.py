from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.frame import Frame, Layout, Pixels, Region
from edge3vt.core.segmentation import Mask, Segmentation, State, Timing, Verdict
from edge3vt.core.spec import ModelSpec
from edge3vt.picture import draw
from edge3vt.picture.colour import to_rgb
from edge3vt.picture.crop import acquire
from edge3vt.picture.draw import Composer
from edge3vt.picture.mask import place
from edge3vt.picture.text import BACKGROUND, rendered

SPEC = ModelSpec(1, "student", "1", CLASS_NAMES, 96, 96, 4, True, True, "trained on synthetic images")
SIZES = [(1024, 768), (320, 240), (240, 320), (208, 208), (1920, 1080), (641, 479)]


def vessels() -> Mask:
    mask = np.zeros((96, 96), np.uint8)
    for label, centre in enumerate([(36, 44), (46, 48), (54, 52), (52, 58), (50, 70)], start=1):
        cv2.circle(mask, centre, 4, label, -1)
    return mask


def seg(width: int = 1024, height: int = 768, *, mask: Mask | None = None, **fields: object) -> Segmentation:
    grey = np.random.default_rng(0).integers(30, 256, (height, width), dtype=np.uint8)
    frame = Frame(7, 10**9, grey)
    whole = Segmentation(
        frame=frame,
        mask=mask,
        mask_ns=None if mask is None else frame.captured_ns,
        crop=None if mask is None else acquire(frame, 96),
        verdict=Verdict.ON_TIME,
        reason="",
        emitted_late=False,
        state=State.LIVE,
        scores=(),
        shown=mask is not None,
        withheld="" if mask is not None else "not the 3VT view",
        model_id=SPEC.model_id,
        timing=Timing(total_ns=12_340_000),
    )
    return replace(whole, **fields)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is put on the picture from now on."""
    texts: list[str] = []

    def note(text: str, *args: object, **kwargs: object) -> Pixels:
        texts.append(text)
        return rendered(text, *args, **kwargs)

    for cached in (draw._layout, draw._band, draw._legend):
        cached.cache_clear()
    monkeypatch.setattr(draw, "rendered", note)
    return texts


def text_areas(composer: Composer, shown: Segmentation, picture: Pixels) -> np.ndarray:
    """The band and the legend, which must be what they claim to be: mostly their dark background."""
    statements = ("not for diagnosis", SPEC.training, SPEC.model_id)
    names = composer._names
    layout = draw._layout(picture.shape[1], picture.shape[0], shown.frame.bounds, statements, names)
    legend = draw._place(draw._legend((1, 2, 3, 4, 5), names, layout.size_px), layout, layout.corners[composer._corner])
    areas = np.zeros(picture.shape[:2], bool)
    for area in (layout.band, legend):
        part = (slice(max(area.y0, 0), area.y1), slice(max(area.x0, 0), area.x1))
        assert np.all(picture[part] == BACKGROUND, axis=2).mean() > 0.5
        areas[part] = True
    return areas


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("layout", [Layout.GRAY, Layout.RGB, Layout.BGR])
def test_r1_only_structures_and_text_change_the_picture(width: int, height: int, layout: Layout) -> None:
    shown = seg(width, height, mask=vessels())
    if layout is not Layout.GRAY:
        shown = replace(shown, frame=replace(shown.frame, pixels=np.dstack([shown.frame.pixels] * 3), layout=layout))
    composer = Composer(SPEC)
    picture, source = composer(shown), to_rgb(shown.frame)
    assert picture.shape == (height, width, 3)
    assert shown.mask is not None
    assert shown.crop is not None
    structures = (place(shown.mask, shown.crop, (height, width)) > 0).astype(np.uint8)
    allowed = (cv2.dilate(structures, np.ones((13, 13), np.uint8)) > 0) | text_areas(composer, shown, picture)
    assert np.array_equal(picture[~allowed], source[~allowed])
    assert allowed.mean() < 0.55
    assert np.any(picture != source)


def test_r1_sees_a_recoloured_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "to_rgb", lambda frame: np.maximum(to_rgb(frame), 31))
    with pytest.raises(AssertionError):
        test_r1_only_structures_and_text_change_the_picture(1024, 768, Layout.GRAY)


def test_the_source_is_left_alone() -> None:
    shown = seg(mask=vessels())
    before = shown.frame.pixels.copy()
    first, second = Composer(SPEC)(shown), Composer(SPEC)(shown)
    assert np.array_equal(shown.frame.pixels, before)
    assert np.array_equal(first, second)
    assert not np.shares_memory(first, second)


def test_withheld_draws_no_structure() -> None:
    hidden = seg(mask=vessels(), shown=False, withheld="not the 3VT view")
    assert np.array_equal(Composer(SPEC)(hidden), Composer(SPEC)(seg(withheld="not the 3VT view")))


def test_what_always_stands_there(written: list[str]) -> None:
    Composer(SPEC)(seg(1920, 1080))
    assert "not for diagnosis · trained on synthetic images · student-1" in written
    assert "latency 12.3 ms" in written


def test_without_a_spec_there_is_no_training_to_name(written: list[str]) -> None:
    Composer()(seg(1920, 1080))
    assert "not for diagnosis · student-1" in written


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({}, ["LIVE", ""]),
        ({"state": State.AI_LATE, "mask_ns": 10**9 - 33_300_000}, ["AI LATE  -33 ms", ""]),
        ({"shown": False, "withheld": "not the 3VT view"}, ["LIVE", "no overlay: not the 3VT view"]),
        ({"shown": False, "state": State.AI_LATE, "withheld": "mask too old"}, ["AI LATE", "no overlay: mask too old"]),
        ({"shown": False, "state": State.AI_OFF, "withheld": "engine lost"}, ["AI OFF", "no overlay: engine lost"]),
        ({"shown": False, "state": State.AI_INVALID, "withheld": "NaN"}, ["AI INVALID", "no overlay: NaN"]),
    ],
)
def test_the_status_line(written: list[str], fields: dict[str, object], texts: list[str]) -> None:
    Composer(SPEC)(seg(mask=vessels(), **fields))
    assert written[-2:] == texts


def test_the_legend_names_what_is_there(written: list[str]) -> None:
    mask = vessels()
    mask[mask == 4] = 0
    Composer(SPEC)(seg(mask=mask))
    names = [name.replace("_", " ") for name in CLASS_NAMES[1:]]
    written_after_layout = written[len(names) :]  # the layout measures the whole legend first
    assert [text for text in written_after_layout if text in names] == [n for n in names if n != "trachea"]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_all_that_must_be_said_fits(written: list[str], width: int, height: int) -> None:
    composed = Composer(SPEC)(seg(width, height))
    for statement in ("not for diagnosis", "trained on synthetic images", "student-1"):
        line = next(text for text in written if statement in text)
        assert rendered(line, max(10, round(min(width, height) / 52)), draw.PLAIN).shape[1] <= width
    band = np.all(composed == BACKGROUND, axis=2).mean(axis=1) > 0.5
    assert band.mean() <= 0.25


@pytest.mark.parametrize(
    ("region", "top", "bottom"),
    [
        (Region(100, 60, 900, 700), False, True),
        (Region(100, 60, 900, 768), True, False),
        (Region(100, 0, 900, 768), False, True),
        (None, False, True),
    ],
)
def test_the_band_avoids_the_ultrasound(region: Region | None, top: bool, bottom: bool) -> None:
    plain = seg()
    picture = Composer(SPEC)(replace(plain, frame=replace(plain.frame, region=region)))
    assert np.array_equal(picture[0, 0], BACKGROUND) is top
    assert np.array_equal(picture[-1, -1], BACKGROUND) is bottom


def legend_corner(picture: Pixels) -> tuple[bool, bool]:
    """(right, below) of the blue swatch."""
    ys, xs = np.nonzero(np.all(picture == (86, 180, 233), axis=2))
    swatch = [(x, y) for x, y in zip(xs, ys, strict=True) if np.all(picture[y, x : x + 8] == (86, 180, 233))]
    x, y = swatch[0]
    return bool(x > picture.shape[1] / 2), bool(y > picture.shape[0] / 2)


def test_the_legend_stands_beside_the_ultrasound() -> None:
    shown = seg(mask=vessels())
    for region, corner in ((Region(0, 0, 800, 740), (True, False)), (Region(300, 0, 1024, 740), (False, False))):
        assert legend_corner(Composer(SPEC)(replace(shown, frame=replace(shown.frame, region=region)))) == corner


def test_the_legend_moves_out_of_the_way_and_then_stays() -> None:
    composer, middle = Composer(SPEC), seg(320, 240, mask=vessels())
    assert legend_corner(composer(middle)) == (False, False)
    upper_left = np.zeros((96, 96), np.uint8)
    upper_left[16:30, 4:20] = 1
    moved = replace(middle, mask=upper_left)
    assert legend_corner(composer(moved)) == (True, False)
    assert legend_corner(composer(middle)) == (True, False)


def test_a_tiny_picture_is_composed() -> None:
    assert Composer(SPEC)(seg(16, 12, mask=vessels())).shape == (12, 16, 3)


def test_warming_renders_what_the_first_frames_need() -> None:
    from edge3vt.picture.text import rendered

    rendered.cache_clear()
    Composer().warm(320, 240)
    known = rendered.cache_info().currsize
    assert known > 100
    Composer().warm(320, 240)
    assert rendered.cache_info().currsize == known
