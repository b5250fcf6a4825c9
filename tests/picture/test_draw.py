from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.frame import Frame, Layout, Pixels, Region
from edge3vt.core.segmentation import UNCONFIRMED, Mask, Segmentation, State, Timing, Verdict
from edge3vt.core.spec import ModelSpec
from edge3vt.picture import band, draw
from edge3vt.picture.band import PLAIN
from edge3vt.picture.colour import to_rgb
from edge3vt.picture.crop import acquire
from edge3vt.picture.draw import Composer
from edge3vt.picture.mask import place
from edge3vt.picture.text import BACKGROUND, rendered
from edge3vt.picture.view import View

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

    for cached in (band.layout_of, band._band, band._chip, draw._corners, draw._legend):
        cached.cache_clear()
    for module in (band, draw):
        monkeypatch.setattr(module, "rendered", note)
    return texts


def text_areas(composer: Composer, shown: Segmentation, picture: Pixels) -> np.ndarray:
    """The band and the legend, which must be what they claim to be: mostly their dark background."""
    statements = ("not for diagnosis", SPEC.training, SPEC.model_id)
    names = composer._names
    layout = band.layout_of(picture.shape[1], picture.shape[0], shown.frame.bounds, statements)
    corner = draw._corners(layout, shown.frame.bounds, names)[composer._corner]
    legend = draw._place(draw._legend((1, 2, 3, 4, 5), names, layout.size_px), layout, corner)
    areas = np.zeros(picture.shape[:2], bool)
    for area in (layout.band, legend):
        part = (slice(max(area.y0, 0), area.y1), slice(max(area.x0, 0), area.x1))
        assert np.all(picture[part] == BACKGROUND, axis=2).mean() > 0.5
        areas[part] = True
    return areas


def in_layout(grey: Pixels, layout: Layout) -> Pixels:
    """A grey picture, with the noise of its neighbours as colour, in any layout of even sides."""
    height = grey.shape[0]
    match layout:
        case Layout.GRAY:
            return grey
        case Layout.YUYV:
            return np.dstack((grey, np.roll(grey, 3, axis=1)))
        case Layout.NV12:
            return np.vstack((grey, np.roll(grey[: height // 2], 5, axis=1)))
        case _:
            return np.dstack((grey, np.roll(grey, 3, axis=1), np.roll(grey, 5, axis=0)))


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("full_range", [True, False])
def test_r1_only_structures_and_text_change_the_picture(
    width: int, height: int, layout: Layout, full_range: bool
) -> None:
    if layout in (Layout.YUYV, Layout.NV12):
        width, height = width // 2 * 2, height // 2 * 2
    shown = seg(width, height, mask=vessels())
    pixels = in_layout(shown.frame.pixels, layout)
    shown = replace(shown, frame=replace(shown.frame, pixels=pixels, layout=layout, full_range=full_range))
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
    monkeypatch.setattr(draw, "to_rgb", lambda frame, out=None: np.maximum(to_rgb(frame), 31))
    with pytest.raises(AssertionError):
        test_r1_only_structures_and_text_change_the_picture(1024, 768, Layout.GRAY, True)


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
        ({"mask_ns": 10**9 - 16_700_000}, ["LIVE", "overlay -17 ms"]),
        ({"state": State.AI_LATE, "mask_ns": 10**9 - 33_300_000}, ["AI LATE 33 ms", "overlay -33 ms"]),
        ({"shown": False, "withheld": "not the 3VT view"}, ["LIVE", "no overlay: not the 3VT view"]),
        (
            {"shown": False, "state": State.AI_LATE, "mask_ns": 8 * 10**8, "withheld": "mask too old"},
            ["AI LATE 200 ms", "no overlay: mask too old"],
        ),
        (
            {"shown": False, "state": State.AI_OFF, "code": "HANG", "withheld": "lost"},
            ["AI OFF: HANG", "no overlay: lost"],
        ),
        ({"shown": False, "state": State.AI_INVALID, "withheld": "NaN"}, ["AI INVALID", "no overlay: NaN"]),
        ({"shown": False, "state": State.FROZEN}, ["FROZEN?", "no overlay"]),
        ({"shown": False, "state": State.BLACK}, ["BLACK", "no overlay"]),
        ({"shown": False, "state": State.FORMAT_CHANGED}, ["FORMAT CHANGED", "no overlay"]),
        ({"shown": False, "state": State.NO_SIGNAL}, ["NO SIGNAL", "no overlay"]),
        ({"notes": ("REC STOPPED: DISK",)}, ["LIVE", "REC STOPPED: DISK", ""]),
    ],
)
def test_the_status_line(written: list[str], fields: dict[str, object], texts: list[str]) -> None:
    Composer(SPEC)(seg(mask=vessels(), **fields))
    assert written[-len(texts) :] == texts


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mask_ns": 10**9 - 101_000_000, "state": State.AI_LATE}, "mask too old"),
        ({"mask_ns": 10**9 + 1}, "mask without a time"),
        ({"mask_ns": None}, "mask without a time"),
        ({"state": State.FROZEN}, "frozen?"),
        ({"state": State.AI_OFF}, "ai off"),
    ],
)
def test_r2_a_mask_that_must_not_be_shown_is_not_whatever_it_says(
    written: list[str], fields: dict[str, object], said: str
) -> None:
    composer, wrong = Composer(SPEC), seg(mask=vessels(), **fields)
    assert np.array_equal(composer(wrong), Composer(SPEC)(replace(wrong, shown=False, withheld=said)))
    assert composer.refused == 1
    assert f"no overlay: {said}" in written


def masked(
    composer: Composer, periods: int, period_ns: int = 16_666_667, indices: tuple[int, ...] = (0, 1, 2, 5)
) -> Pixels:
    """The last of some pictures, with a mask that is so many frames old."""
    for index in indices:
        shown = seg(320, 240, mask=vessels())
        at = 10**9 + index * period_ns
        frame = replace(shown.frame, index=index, captured_ns=at)
        picture = composer(replace(shown, frame=frame, mask_ns=at - periods * period_ns))
    return picture


def outlined(picture: Pixels) -> int:
    """Pixels of the blue structure's line."""
    return int(np.all(np.abs(picture[30:200, 100:200].astype(int) - (86, 180, 233)) < 30, axis=2).sum())


@pytest.mark.parametrize("period_ms", [16.7, 25, 33])
def test_r2_a_mask_of_more_than_two_periods_is_dashed(period_ms: float) -> None:
    lines = [outlined(masked(Composer(SPEC), age, round(period_ms * 1e6))) for age in range(4)]
    assert lines[0] == lines[1] == lines[2] > 0
    assert lines[3] < 0.75 * lines[0]


def test_r4_the_heartbeat_changes_with_each_frame_and_stands_with_it() -> None:
    composer = Composer(SPEC)
    still = seg(320, 240, timing=Timing())

    def beat(at: int) -> bytes:
        return composer(replace(still, frame=replace(still.frame, captured_ns=at)))[-30:, :60].tobytes()

    beats = [beat(at) for at in range(100)]
    assert all(a != b for a, b in pairwise(beats))
    assert beat(99) == beats[-1]


def test_lost_signal_is_written_across_the_picture_and_nowhere_else() -> None:
    lost = seg(state=State.NO_SIGNAL)
    picture, source = Composer(SPEC)(lost), to_rgb(lost.frame)
    changed = np.any(picture != source, axis=2)
    ys, xs = np.nonzero(changed[:700])
    assert changed[350:410, 400:600].all()
    assert changed[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].mean() > 0.99
    assert changed[:700].mean() < 0.2


def test_a_region_to_be_confirmed_has_a_box_inside_it_and_nothing_else_changes() -> None:
    asked, box = seg(shown=False, withheld=UNCONFIRMED), Region(100, 80, 900, 600)
    asked = replace(asked, frame=replace(asked.frame, region=box))
    composer = Composer()
    picture, plain = composer(asked), composer(replace(asked, withheld="no mask yet"))
    changed = (picture != plain).any(axis=2)[:700]
    inside = np.zeros_like(changed)
    inside[box.y0 : box.y1, box.x0 : box.x1] = True
    inside[box.y0 + 3 : box.y1 - 3, box.x0 + 3 : box.x1 - 3] = False
    assert not changed[~inside].any()
    assert (picture[box.y0, box.x0 : box.x1] == band.AMBER).all()
    whole = replace(asked, frame=replace(asked.frame, region=None))
    assert not (composer(whole) != composer(replace(whole, withheld="no mask yet"))).any(axis=2)[:700].any()


def test_the_operators_view(written: list[str]) -> None:
    shown = seg(320, 240, mask=vessels())
    plain, source = Composer(SPEC)(shown), to_rgb(shown.frame)
    hidden = Composer(SPEC)(shown, View(hidden=True))
    assert np.array_equal(hidden[:200], source[:200])
    assert "overlay hidden" in written
    contour = Composer(SPEC)(shown, View(contour_only=True))
    strong = Composer(SPEC)(shown, View(opacity=0.8))
    changed = [int(np.any(picture != source, axis=2).sum()) for picture in (contour, plain, strong)]
    assert changed[0] < changed[1] <= changed[2]
    assert outlined(Composer(SPEC)(shown, View(off=frozenset({1})))) == 0
    assert "pulmonary artery off" in written
    both = Composer(SPEC)(shown, View(beside=True))
    assert np.array_equal(both[:, :320], source)
    assert np.array_equal(both[:, 320:], plain)


def test_the_fetal_left_is_forgotten_with_the_epoch(written: list[str]) -> None:
    view, shown = View(fetal_left="up", epoch=3), seg(mask=vessels())
    Composer(SPEC)(replace(shown, frame=replace(shown.frame, epoch=3)), view)
    assert written[-1] == "fetal left: up"
    Composer(SPEC)(replace(shown, frame=replace(shown.frame, epoch=4)), view)
    assert written[-1] == ""
    assert view.at(4).at(3).fetal_left == ""


def test_the_legend_names_what_is_there(written: list[str]) -> None:
    mask = vessels()
    mask[mask == 4] = 0
    Composer(SPEC)(seg(mask=mask))
    names = [name.replace("_", " ") for name in CLASS_NAMES[1:]]
    present = [name for name in names if name != "trachea"]
    # Where the corners of the legend are is found with the whole of it.
    assert [text for text in written if text in names] == present + names


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_all_that_must_be_said_fits(written: list[str], width: int, height: int) -> None:
    composed = Composer(SPEC)(seg(width, height))
    for statement in ("not for diagnosis", "trained on synthetic images", "student-1"):
        line = next(text for text in written if statement in text)
        assert rendered(line, max(10, round(min(width, height) / 52)), PLAIN).shape[1] <= width
    dark = np.all(composed == BACKGROUND, axis=2).mean(axis=1) > 0.5
    assert dark.mean() <= 0.25


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
