"""The tracker on masks without a network: found, followed, lost, found again; and looked beside, whatever it holds."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import pytest

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import NS_PER_S
from edge3vt.core.frame import Crop, Frame, Region
from edge3vt.core.segmentation import Mask
from edge3vt.picture.crop import acquire
from edge3vt.stream.lane import LaneResult
from edge3vt.stream.tracking import Tracker, TrackRules

SIZE = 96
PIXELS = np.zeros((480, 640), np.uint8)
LIMIT_NS = NS_PER_S // 2


@dataclass(frozen=True)
class Body:
    """Vessels of ``score`` around (x, y) of the frame."""

    x: int
    y: int
    score: float = 0.9
    spread: int = 60

    def mask(self, crop: Crop) -> Mask:
        each = crop.side / crop.size
        mask = np.zeros((crop.size, crop.size), np.uint8)
        for label, shift in ((1, -self.spread), (2, 0), (3, self.spread)):
            x0, x1 = (round((self.x + shift + d - crop.x) / each) for d in (-12, 12))
            y0, y1 = (round((self.y + d - crop.y) / each) for d in (-12, 12))
            mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = label
        return mask


def frame(index: int, rate_hz: int = 30, epoch: int = 0, mm: float | None = 0.2, region: Region | None = None) -> Frame:
    return Frame(index, index * NS_PER_S // rate_hz, PIXELS, epoch=epoch, region=region, mm_per_px=mm)


def see(asked: Frame, crop: Crop, bodies: list[Body]) -> LaneResult:
    """What a network would make of it: in one crop it prefers the body that comes first, where that is in it."""
    for body in bodies:
        mask = body.mask(crop)
        if set(np.unique(mask)) >= {1, 2, 3}:
            scores = (0.9, body.score, body.score, body.score, 0.0, 0.0)
            break
    else:
        mask, scores = np.zeros((crop.size, crop.size), np.uint8), (0.9, 0.0, 0.0, 0.0, 0.0, 0.0)
    return LaneResult(asked.index, asked.captured_ns, asked.epoch, 0, crop, mask, scores, None, "m-1", 0, 0, 0)


def believed(result: LaneResult) -> bool:
    """As the gate would, near enough."""
    return result.mask is not None and min(result.scores[1:4]) >= 0.6


def run(
    tracker: Tracker, bodies: dict[int, list[Body]], frames: int, rate_hz: int = 30, late: int = 0, lost: int = 0
) -> list[tuple[Crop, bool]]:
    """Crops, and whether each one's result was shown. bodies: from a frame on. lost: every how manieth is missing."""
    there: list[Body] = []
    flying: deque[tuple[int, LaneResult]] = deque()
    crops, shown = [], [False] * frames
    for index in range(frames):
        there = bodies.get(index, there)
        while flying and flying[0][0] <= index:
            _, result = flying.popleft()
            shown[result.index] = tracker.take(result, believed(result))
        asked = frame(index, rate_hz)
        crops.append(tracker.crop(asked))
        if not (lost and index % lost == lost - 1):
            flying.append((index + 1 + late, see(asked, crops[-1], there)))
    return list(zip(crops, shown, strict=True))


def holds(crop: Crop, body: Body) -> bool:
    r = crop.region
    return (
        crop.mode == "track"
        and r.x0 <= body.x - body.spread
        and body.x + body.spread <= r.x1
        and r.y0 <= body.y <= r.y1
    )


HERE, THERE = Body(200, 150), Body(470, 360)


def test_the_whole_region_until_vessels_are_found_then_closer() -> None:
    seen = run(Tracker(SIZE, CLASS_NAMES), {0: [], 5: [HERE]}, 12)
    assert [crop.mode for crop, _ in seen[:6]] == ["acquire"] * 6
    assert seen[0][0] == acquire(frame(0), SIZE)
    assert holds(seen[6][0], HERE)
    assert seen[6][0].side == round(45 / 0.2)
    assert all(shown for _, shown in seen[:-1])


def test_the_policy_acquire_never_looks_closer_and_shows_everything() -> None:
    seen = run(Tracker(SIZE, CLASS_NAMES, "acquire"), {0: [HERE]}, 20)
    assert {crop.mode for crop, _ in seen} == {"acquire"}
    assert all(shown for _, shown in seen[:-1])


def test_two_vessels_are_followed_for_the_closer_look_finds_the_third_and_one_is_not() -> None:
    for kept, mode in (((1, 2), "track"), ((2,), "acquire")):
        tracker, asked = Tracker(SIZE, CLASS_NAMES), frame(0)
        result = see(asked, tracker.crop(asked), [HERE])
        scores = tuple(0.9 if label in kept else 0.0 for label in range(6))
        tracker.take(replace(result, scores=scores), False)
        assert tracker.crop(frame(1)).mode == mode


def test_of_other_classes_any_structure_is_followed() -> None:
    tracker, asked = Tracker(SIZE, ("background", "nerve", "vessel")), frame(0)
    mask = np.where(HERE.mask(tracker.crop(asked)) == 1, 1, 0).astype(np.uint8)
    tracker.take(replace(see(asked, tracker.crop(asked), [HERE]), mask=mask, scores=(0.9, 0.8, 0.0)), True)
    assert tracker.following


def test_what_the_network_says_is_not_the_view_is_not_followed() -> None:
    for view, followed in ((-5.0, False), (float("nan"), False), (-1.0, True)):
        tracker, asked = Tracker(SIZE, CLASS_NAMES), frame(0)
        tracker.take(replace(see(asked, tracker.crop(asked), [HERE]), view=view), False)
        assert tracker.following == followed


@pytest.mark.parametrize("rate_hz", [30, 60])
@pytest.mark.parametrize("late", [0, 1, 2])
@pytest.mark.parametrize("lost", [0, 3])
def test_after_a_jump_the_vessels_are_found_again_in_half_a_second(rate_hz: int, late: int, lost: int) -> None:
    seen = run(Tracker(SIZE, CLASS_NAMES), {0: [HERE], rate_hz: [THERE]}, 2 * rate_hz, rate_hz, late, lost)
    again = next(i for i, (crop, shown) in enumerate(seen) if i >= rate_hz and shown and holds(crop, THERE))
    assert (again - rate_hz + 1 + late) * NS_PER_S // rate_hz <= LIMIT_NS


def hidden_ns(tracker: Tracker, rate_hz: int, late: int = 0) -> int | None:
    """How long a tracked false candidate hides the true one, which comes later, elsewhere, and is the better one."""
    false, true = replace(HERE, score=0.7), replace(THERE, score=0.95)
    seen = run(tracker, {0: [false], rate_hz: [true, false]}, 3 * rate_hz, rate_hz, late)
    found = (i for i, (crop, shown) in enumerate(seen) if i >= rate_hz and shown and holds(crop, true))
    again = next(found, None)
    return None if again is None else (again - rate_hz + 1 + late) * NS_PER_S // rate_hz


@pytest.mark.parametrize(("rate_hz", "late"), [(30, 0), (30, 1), (30, 2), (60, 0), (60, 1), (60, 2)])
def test_tracking_never_hides_a_better_candidate_for_longer_than_its_interval(rate_hz: int, late: int) -> None:
    hidden = hidden_ns(Tracker(SIZE, CLASS_NAMES), rate_hz, late)
    assert hidden is not None
    frames = 2 * late + 4  # the look and the trial, each with its way there and back
    assert hidden <= TrackRules().look_ns + frames * NS_PER_S // rate_hz
    assert hidden <= LIMIT_NS


def test_a_tracker_that_never_looks_again_hides_it_and_is_caught() -> None:
    assert hidden_ns(Tracker(SIZE, CLASS_NAMES, rules=TrackRules(look_ns=1 << 60)), 30) is None


def test_a_worse_candidate_elsewhere_is_tried_once_a_look_and_left() -> None:
    true, false = HERE, replace(THERE, score=0.7)
    seen = run(Tracker(SIZE, CLASS_NAMES), {0: [true], 10: [false, true]}, 60)
    tried = [i for i, (crop, _) in enumerate(seen) if holds(crop, false)]
    assert 3 <= len(tried) <= 60 // 8 + 1
    assert not any(seen[i][1] for i in tried), "a trial that lost is not shown"
    assert sum(holds(crop, true) for crop, _ in seen) >= 60 - 1 - 2 * (60 // 8 + 1)


def test_a_look_at_the_whole_only_steers_while_the_track_holds() -> None:
    seen = run(Tracker(SIZE, CLASS_NAMES), {0: [HERE]}, 61)[1:-1]
    looks = [i for i, (crop, _) in enumerate(seen) if crop.mode == "acquire"]
    assert {b - a for a, b in itertools.pairwise(looks)} == {8}, "every quarter of a second"
    assert [i for i, (_, shown) in enumerate(seen) if not shown] == looks


def test_a_look_without_an_answer_is_asked_again_and_not_before_its_time() -> None:
    tracker = Tracker(SIZE, CLASS_NAMES)
    tracker.take(see(frame(0), tracker.crop(frame(0)), [HERE]), True)
    modes = [tracker.crop(frame(index)).mode for index in range(1, 16)]
    assert [i for i, mode in enumerate(modes, start=1) if mode == "acquire"] == [8, 11, 14]


def test_the_square_stands_still_while_what_was_found_trembles_and_follows_what_moves() -> None:
    rng = np.random.default_rng(1)
    trembling = {i: [Body(300 + int(rng.integers(-9, 10)), 240 + int(rng.integers(-9, 10)))] for i in range(60)}
    crops = {crop for crop, _ in run(Tracker(SIZE, CLASS_NAMES), trembling, 60) if crop.mode == "track"}
    assert len(crops) == 1
    moving = {i: [Body(200 + 3 * i, 240)] for i in range(60)}
    seen = run(Tracker(SIZE, CLASS_NAMES), moving, 60)[1:]
    assert all(holds(crop, moving[i][0]) for i, (crop, _) in enumerate(seen, start=1) if crop.mode == "track")
    assert len({crop for crop, _ in seen}) < 15


def test_a_square_is_never_larger_than_the_acquire_square_nor_outside_it() -> None:
    region = Region(100, 50, 400, 350)
    for mm, spread in ((0.05, 60), (2.0, 60), (None, 130)):
        tracker, asked = Tracker(SIZE, CLASS_NAMES), frame(0, mm=mm, region=region)
        whole = tracker.crop(asked)
        tracker.take(see(asked, whole, [Body(250, 200, spread=spread)]), True)
        crop = tracker.crop(frame(1, mm=mm, region=region))
        assert crop.mode == "track"
        assert whole.region.x0 <= crop.region.x0 < crop.region.x1 <= whole.region.x1
        assert whole.region.y0 <= crop.region.y0 < crop.region.y1 <= whole.region.y1


@pytest.mark.parametrize(
    "after", [frame(2, epoch=1), frame(2, mm=0.25), frame(2, region=Region(0, 0, 400, 400)), frame(2, mm=None)]
)
def test_another_epoch_depth_or_region_starts_from_the_whole_and_old_results_teach_nothing(after: Frame) -> None:
    tracker = Tracker(SIZE, CLASS_NAMES)
    tracker.take(see(frame(0), tracker.crop(frame(0)), [HERE]), True)
    old = see(frame(1), tracker.crop(frame(1)), [HERE])
    assert old.crop.mode == "track"
    whole = tracker.crop(after)
    assert whole == acquire(after, SIZE)
    assert not tracker.take(old, True), "of the picture before: not shown"
    assert tracker.crop(replace(after, index=3, captured_ns=after.captured_ns + 1)).mode == "acquire"
    assert tracker.take(see(after, whole, [HERE]), True)
    assert tracker.following


def test_results_that_failed_lose_the_track_and_no_result_does_not() -> None:
    tracker = Tracker(SIZE, CLASS_NAMES)
    tracker.take(see(frame(0), tracker.crop(frame(0)), [HERE]), True)
    assert [tracker.crop(frame(i)).mode for i in range(1, 8)] == ["track"] * 7
    for i in (1, 2):
        failed = replace(see(frame(i), tracker.crop(frame(i)), []), mask=None, scores=(), error="NaN")
        assert tracker.take(failed, False), "an error is to be shown as what it is"
    assert not tracker.following


def closer_is_worse(result: LaneResult) -> LaneResult:
    """A network that believes in the view from afar only: closer, its scores are too low for the gate."""
    if result.crop.mode == "acquire":
        return result
    return replace(result, scores=tuple(min(score, 0.55) for score in result.scores))


def overlays(tracker: Tracker, frames: int = 90) -> list[bool]:
    """For each frame, whether the mask that is shown is believed."""
    out, newest = [], False
    for index in range(frames):
        result = closer_is_worse(see(frame(index), tracker.crop(frame(index)), [HERE]))
        if tracker.take(result, believed(result)):
            newest = believed(result)
        out.append(newest)
    return out


def test_a_network_that_is_worse_closer_keeps_its_overlay_most_of_the_time() -> None:
    assert np.mean(overlays(Tracker(SIZE, CLASS_NAMES))) > 0.85
    never_left = TrackRules(whole_ns=0, longest_ns=0)
    assert np.mean(overlays(Tracker(SIZE, CLASS_NAMES, rules=never_left))) < 0.4, "the bug that this is against"


def test_a_network_that_finds_nothing_closer_does_not_blink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "closer_is_worse", lambda r: r if r.crop.mode == "acquire" else _nothing(r))
    assert np.mean(overlays(Tracker(SIZE, CLASS_NAMES))) > 0.85


def _nothing(result: LaneResult) -> LaneResult:
    assert result.mask is not None
    return replace(result, mask=np.zeros_like(result.mask), scores=(0.9, 0.0, 0.0, 0.0, 0.0, 0.0))


def test_of_other_classes_nothing_found_is_nothing_to_follow_however_much_it_is_believed() -> None:
    tracker, asked = Tracker(SIZE, ("background", "nerve")), frame(0)
    empty = np.zeros((SIZE, SIZE), np.uint8)
    tracker.take(replace(see(asked, tracker.crop(asked), []), mask=empty, scores=(0.9, 0.0)), True)
    assert not tracker.following
