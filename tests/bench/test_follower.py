from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge3vt.bench.follower import WAYS, CineWatch, Follower, Seen, Way, diameter_px
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import NS_PER_S
from edge3vt.core.frame import Frame, Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.core.session import Logits
from edge3vt.core.spec import ModelSpec

SIZE = 128
WIDTHS = dict.fromkeys(CLASS_NAMES, 8.0)


class Reader:
    """An engine that reads labels painted as grey levels: 40 for each class. blind: to what is below so many px."""

    spec = ModelSpec(1, "reader", "1", CLASS_NAMES, SIZE, SIZE, 1, True, True, "")

    def __init__(self, blind: int = 0) -> None:
        self._blind = blind

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        labels = np.round(pixels[0, 0] / 40).astype(np.uint8)
        for label in range(1, 6):
            if (labels == label).sum() < self._blind:
                labels[labels == label] = 0
        logits[0] = np.where(np.arange(6)[:, None, None] == labels, 8.0, -8.0)
        if view is not None:
            view[...] = 4.0 if labels.any() else -4.0

    def close(self) -> None: ...


def painted(x: int = 256, y: int = 256, radius: int = 10) -> Mask:
    """(512, 512) truth: the arch between artery and cava, all dark of the spine."""
    mask = np.zeros((512, 512), np.uint8)
    for label, at in ((1, (x - 50, y)), (2, (x, y)), (3, (x + 40, y - 20)), (4, (x, y + 40)), (5, (x, y + 90))):
        cv2.circle(mask, at, radius, label, -1)
    return mask


def frame(index: int, truth: Mask) -> Frame:
    return Frame(index, index * NS_PER_S // 30, truth * 40, mm_per_px=0.3)


def seen_by(way: Way, truths: list[Mask], blind: int = 0) -> list[Seen]:
    follower = Follower(Reader(blind), way)
    return [follower.see(frame(index, truth)) for index, truth in enumerate(truths)]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_painted_is_found_followed_and_shown(way: Way) -> None:
    seen = seen_by(way, [painted()] * 12)
    assert [s.shown for s in seen] == [False] * 2 + [True] * 10
    assert {s.mode for s in seen[1:]} == ({"acquire"} if way == "acquire" else {"track", "acquire"})
    wrong = np.mean(seen[-1].mask != painted())
    assert wrong < 0.01


def test_a_look_that_sees_less_changes_the_mask_only_where_looks_are_shown() -> None:
    truths = [painted(radius=9)] * 30  # 17 px of the acquire square each, 100 px of the track's
    shown = {way: [s.shown for s in seen_by(way, truths, blind=18)] for way in WAYS}
    assert not any(shown["acquire"]), "blind to it from afar"
    nearer = [painted(radius=20)] * 10 + [painted(radius=9)] * 20
    kept, blinking = seen_by("track", nearer, blind=30), seen_by("looks", nearer, blind=30)
    assert all(s.shown for s in kept[3:])
    assert all(np.isin((1, 2, 3), s.mask).all() for s in kept)
    assert not all(np.isin((1, 2, 3), s.mask).all() for s in blinking)


def test_an_engine_that_gives_garbage_shows_nothing() -> None:
    class Broken(Reader):
        def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
            logits[...] = np.nan

    follower = Follower(Broken(), "track")
    for index in range(6):
        seen = follower.see(frame(index, painted()))
        assert not seen.shown
        assert not seen.mask.any()


@pytest.mark.parametrize("radius", [4, 9, 20])
def test_the_diameter_of_a_circle_and_of_a_tube_is_their_width(radius: int) -> None:
    mask = np.zeros((200, 200), np.uint8)
    cv2.circle(mask, (60, 100), radius, 3, -1)
    mask[20:180, 120 - radius : 121 + radius] = 1
    cv2.circle(mask, (10, 10), 2, 3, -1)  # a speck
    assert diameter_px(mask, 3) == pytest.approx(2 * radius, abs=1)
    assert diameter_px(mask, 1) == pytest.approx(2 * radius + 1, abs=1)
    assert diameter_px(mask, 2) == 0.0


def test_a_diameter_is_not_cut_by_the_pictures_edge() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[:, :11] = 1
    assert diameter_px(mask, 1) == pytest.approx(11, abs=1)


def cine(masks: list[Mask], truths: list[Mask], shown: list[bool], holds: list[bool]) -> CineWatch:
    watch = CineWatch("7", WIDTHS)
    for index, (mask, truth, drawn, held) in enumerate(zip(masks, truths, shown, holds, strict=True)):
        watch.see(frame(index, truth), Seen(mask, drawn, "", "track"), truth, held)
    return watch


def test_a_perfect_follower_has_no_error_and_no_flicker() -> None:
    truth = painted()
    found = cine([truth] * 4, [truth] * 4, [True] * 4, [True] * 4).cine()
    assert (found.view_frames, found.shown_in_view, found.blinks, found.closer) == (4, 4, 0, 4)
    arch = found.vessels["aortic_arch"]
    assert (arch.dice, arch.missed, arch.error_mm, arch.bias_mm, arch.width_px) == (1.0, 0.0, 0.0, 0.0, 8.0)
    assert found.flicker == dict.fromkeys(CLASS_NAMES[1:5], 0.0)


def test_what_is_too_wide_missed_shown_outside_or_blinks_is_counted() -> None:
    truth, wide = painted(radius=10), painted(radius=14)
    missed = np.where(wide == 3, 0, wide).astype(np.uint8)
    found = cine([wide, missed, wide, wide], [truth] * 4, [True, False, True, True], [True, True, True, False]).cine()
    assert (found.view_frames, found.other_frames, found.shown_in_view, found.shown_outside) == (3, 1, 2, 1)
    assert found.blinks == 1
    cava, arch = found.vessels["superior_vena_cava"], found.vessels["aortic_arch"]
    assert cava.missed == pytest.approx(1 / 3, abs=1e-4)
    assert arch.bias_mm == pytest.approx(8 * 0.3, abs=0.3)
    assert arch.error_mm == arch.bias_mm
    assert cava.dice < arch.dice < 0.8
    assert (found.flicker["superior_vena_cava"] or 0) > 0.9
    assert found.flicker["aortic_arch"] == 0.0
