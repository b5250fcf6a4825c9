"""What the picture says: repeated, frozen, black, lost, another format, depth or screen; phantoms, speckle, clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

import edge3vt.stream.watch as module
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.frame import Frame, Layout, Pixels, Region
from edge3vt.core.segmentation import State
from edge3vt.phantom.cine import Scene
from edge3vt.picture.video import open_video
from edge3vt.stream.watch import ANALOGUE, Seen, Watch

CLIPS = Path(__file__).parents[3] / "shared/data/clips"
WIDTH, HEIGHT = 640, 480
REGION = Region(100, 60, 600, 460)
BANK = np.random.default_rng(0).normal(0, 1, (900, 1100)).astype(np.float32)


def drive(frames: Iterable[Frame], watch: Watch | None = None, rate_hz: float = 60.0) -> list[Seen]:
    """Numbered and in time; each as it is seen."""
    watch = watch or Watch()
    return [watch.step(replace(f, index=i), round(i * NS_PER_S / rate_hz)) for i, f in enumerate(frames)]


def speckle(seed: int, level: float = 60, deviation: float = 25) -> Pixels:
    """A screen with furniture and live speckle in REGION's fan."""
    rng = np.random.default_rng(seed)
    y, x = rng.integers(0, 400, 2)
    grain = cv2.GaussianBlur(BANK[y : y + HEIGHT, x : x + WIDTH], (0, 0), 2.0) * 7
    fan = cv2.fillConvexPoly(
        np.zeros((HEIGHT, WIDTH), np.uint8), np.array([[300, 60], [400, 60], [590, 450], [110, 450]]), 1
    )
    picture = np.clip(level + deviation * grain, 0, 255).astype(np.uint8) * fan
    picture[:40] = 50
    picture[100:400:20, 610:630] = 200
    return picture


def frame(pixels: Pixels, region: Region | None = REGION) -> Frame:
    return Frame(0, 0, pixels, Layout.GRAY if pixels.ndim == 2 else Layout.RGB, region=region)


def scene_frames(scene: Scene, first: int, frames: int) -> Iterator[Frame]:
    for i in range(first, first + frames):
        yield frame(scene.pixels(i / 60), scene.region)


def test_a_40_hz_scan_on_60_hz_repeats_every_third_picture() -> None:
    seen = drive(frame(speckle(i * 2 // 3)) for i in range(60))
    assert [s.repeat_of for s in seen[:7]] == [None, 0, None, None, 3, None, None]
    assert sum(s.repeat_of is not None for s in seen) == 20
    assert all(s.state is None and not s.withheld and s.epoch == 0 for s in seen)
    assert [s.worth_inferring for s in seen[:3]] == [True, False, True]


def test_a_frozen_picture_is_said_after_a_second_whatever_moves_beside_it() -> None:
    def pictures() -> Iterator[Frame]:
        for i in range(30):
            yield frame(speckle(i))
        for i in range(120):
            still = speckle(29)
            still[10:30, 20 + i : 60 + i] = 255  # a clock, and
            cv2.circle(still, (250 + i, 200), 8, 255, -1)  # a cursor over the picture
            yield frame(still)
        yield frame(speckle(31))

    seen = drive(pictures())
    frozen = [i for i, s in enumerate(seen) if s.state is State.FROZEN]
    assert 29 + 60 <= frozen[0] <= 29 + 66, "within 1.1 s"
    assert frozen == list(range(frozen[0], 150))
    assert all(seen[i].withheld and seen[i].repeat_of == 29 for i in frozen)
    assert seen[-1].state is None
    assert seen[-1].repeat_of is None


def test_at_5_hz_ten_frames_have_to_be_the_same() -> None:
    seen = drive((frame(speckle(0)) for _ in range(20)), rate_hz=5)
    assert [s.state for s in seen].index(State.FROZEN) == 10


def noisy(seed: int, deviation: float) -> Pixels:
    noise = np.random.default_rng([seed, 9]).normal(0, deviation, (HEIGHT, WIDTH))
    return np.clip(speckle(3) + noise, 0, 255).astype(np.uint8)


def test_the_noise_of_an_analogue_card_does_not_unfreeze() -> None:
    seen = drive((frame(noisy(i, 4)) for i in range(70)), Watch(ANALOGUE))
    assert seen[-1].state is State.FROZEN
    assert drive(frame(noisy(i, 4)) for i in range(70))[-1].state is None, "as DIGITAL it is a live picture"
    assert not any(s.repeat_of is not None for s in drive((frame(speckle(i)) for i in range(70)), Watch(ANALOGUE)))


def false_states(watch: Watch, level: float, frames: int) -> int:
    """How many of so many pictures of live speckle are not taken as live, from a small bank in random order."""
    bank = [frame(speckle(i, level, level * 0.4)) for i in range(24)]
    order = np.random.default_rng(5).permuted(np.tile(np.arange(24), (frames // 24 + 1, 1)), axis=1).ravel()
    distinct = order[np.flatnonzero(np.diff(order, prepend=-1))][:frames]
    return sum(s.state is not None for s in drive((bank[i] for i in distinct), watch))


@pytest.mark.parametrize("level", [25, 60])
def test_live_speckle_is_never_frozen_nor_black(level: float) -> None:
    assert false_states(Watch(), level, 10_000) == 0


@pytest.mark.slow
def test_an_hour_of_speckle_is_never_frozen_nor_black() -> None:
    assert false_states(Watch(), 40, 216_000) == 0


def test_the_check_on_speckle_sees_a_watch_that_calls_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "same", lambda old, new, tolerance: True)
    assert false_states(Watch(), 60, 200) > 100


def test_black_is_said_at_once_and_is_not_for_the_engine() -> None:
    black = np.zeros((HEIGHT, WIDTH), np.uint8)
    black[200:204, 300:304] = 255  # a cursor
    seen = drive([frame(speckle(0)), frame(black), frame(speckle(1))])
    assert [s.state for s in seen] == [None, State.BLACK, None]
    assert [s.worth_inferring for s in seen] == [True, False, True]
    limited = Frame(0, 0, np.full((HEIGHT, WIDTH), 16, np.uint8), full_range=False)
    assert drive([limited])[0].state is State.BLACK


def test_silence_is_no_signal_and_what_comes_after_is_a_new_epoch() -> None:
    watch = Watch()
    assert watch.silence(NS_PER_S) is None, "nothing has come yet"
    drive((frame(speckle(i)) for i in range(60)), watch)
    last = round(59 * NS_PER_S / 60)
    wake = watch.wake_ns()
    assert wake is not None
    assert watch.silence(wake - 1) is None
    gone = watch.silence(wake)
    assert wake - last < 170 * NS_PER_MS
    assert gone is not None
    assert (gone.state, gone.withheld) == (State.NO_SIGNAL, "no signal")
    assert watch.wake_ns() is None
    assert watch.silence(wake + 10 * NS_PER_S) == gone
    back = watch.step(frame(speckle(61)), wake + 11 * NS_PER_S)
    assert (back.state, back.epoch, back.changed) == (None, 1, "signal back")
    assert watch.silence(wake + 11 * NS_PER_S + NS_PER_MS) is None


def test_another_size_layout_or_range_is_said_for_half_a_second() -> None:
    grey = frame(speckle(0))
    rgb = frame(np.repeat(speckle(1)[..., None], 3, axis=2))
    larger = frame(cv2.resize(speckle(2), (800, 600)).astype(np.uint8), Region(125, 75, 750, 575))
    limited = replace(frame(speckle(3)), full_range=False)
    watch = Watch()
    for i, (one, told) in enumerate(
        [(grey, ""), (rgb, "640x480 GRAY to 640x480 RGB"), (larger, "to 800x600 GRAY"), (limited, "of limited range")]
    ):
        seen = watch.step(one, i * NS_PER_S)
        assert seen.epoch == i
        assert told in seen.changed
        assert (seen.state is State.FORMAT_CHANGED) == (i > 0)
    assert watch.step(frame(speckle(4)), 4 * NS_PER_S).state is State.FORMAT_CHANGED
    assert watch.step(frame(speckle(5)), 4 * NS_PER_S + 499 * NS_PER_MS).state is State.FORMAT_CHANGED
    assert watch.step(frame(speckle(6)), 4 * NS_PER_S + 501 * NS_PER_MS).state is None


def test_a_thousand_random_switches_raise_nothing_and_each_is_an_epoch() -> None:
    rng, watch, epoch, last = np.random.default_rng(3), Watch(), 0, None
    for i in range(1000):
        height, width = (int(side) * 6 for side in rng.integers(1, 60, 2))
        layout = list(Layout)[int(rng.integers(len(Layout)))]
        shape = {Layout.GRAY: (), Layout.NV12: (), Layout.YUYV: (2,)}.get(layout, (3,))
        rows = height * 3 // 2 if layout is Layout.NV12 else height
        pixels = rng.integers(0, 256, (rows, width, *shape), dtype=np.uint8)
        seen = watch.step(Frame(i, 0, pixels, layout, region=Region(2, 2, 300, 300)), i * 16 * NS_PER_MS)
        now = (height, width, layout)
        epoch += last is not None and last != now
        last = now
        assert seen.epoch == epoch


def test_an_epoch_or_a_region_of_the_source_is_an_epoch() -> None:
    first = frame(speckle(0))
    told = [s.changed for s in drive([first, replace(first, epoch=7), replace(first, epoch=7, region=None)])]
    assert told == ["", "source changed", "region changed"]


def test_furniture_that_moved_for_good_is_an_epoch_and_a_clock_is_not() -> None:
    def pictures() -> Iterator[Frame]:
        for i in range(60):
            picture = speckle(i)
            picture[5:25, 20:120] = 40 + i // 6 * 20  # a clock
            if i >= 40:
                picture[:, 605:] = 120  # another panel
                picture[:40] = 200
            yield frame(picture)

    changes = {i: s.changed for i, s in enumerate(drive(pictures())) if s.changed}
    assert changes == {42: "layout changed"}


@pytest.mark.parametrize(("seed", "depth"), [(0, 1.25), (1, 0.8), (7, 0.67), (9, 0.8), (2, 1.15), (3, 0.9)])
def test_a_turned_depth_is_an_epoch_with_its_first_picture(
    seed: int, depth: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(seed, 640, 480, kind="view", duration_s=1)
    shallow = list(scene_frames(scene, 0, 10))
    monkeypatch.setattr(type(scene.motion), "controls", lambda self, seconds: (0.0, depth))
    changes = {i: s.changed for i, s in enumerate(drive([*shallow, *scene_frames(scene, 10, 3)])) if s.changed}
    assert changes == {10: "picture leapt"}


@pytest.mark.parametrize("seed", range(4))
def test_a_held_view_of_a_phantom_is_live_from_one_end_to_the_other(seed: int) -> None:
    scene = Scene(seed, 640, 480, kind="view", duration_s=1)
    for seen in drive(scene_frames(scene, 0, 40)):
        assert (seen.state, seen.repeat_of, seen.epoch, seen.withheld) == (None, None, 0, "")


def test_two_pictures_side_by_side_are_withheld() -> None:
    def dual(seed: int) -> Frame:
        picture = speckle(seed)
        half = cv2.resize(picture[60:460, 100:600], (250, 200))
        picture[60:460, 100:600] = 0
        picture[160:360, 100:350] = half
        picture[160:360, 350:600] = half
        return frame(picture)

    seen = drive(dual(i) for i in range(20))
    assert seen[-1].withheld == "dual screen"
    assert not any(s.withheld for s in drive(frame(speckle(i)) for i in range(20)))


def with_flow(seed: int, layout: Layout) -> Frame:
    rgb = np.repeat(speckle(seed)[..., None], 3, axis=2)
    rgb[200:240, 260:320] = (200, 20 + seed % 5 * 15, 10)
    if layout is Layout.RGB:
        return frame(rgb)
    ycrcb = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
    if layout is Layout.NV12:
        u, v = (np.asarray(ycrcb[::2, ::2, channel]) for channel in (2, 1))
        chroma = np.dstack((u, v)).reshape(HEIGHT // 2, WIDTH)
        pixels = np.concatenate([ycrcb[..., 0], chroma])
    else:
        chroma = np.where(np.arange(WIDTH) % 2, ycrcb[:, :, 1], ycrcb[:, :, 2])
        pixels = np.dstack((ycrcb[..., 0], chroma))
    return Frame(0, 0, pixels.astype(np.uint8), layout, region=REGION)


@pytest.mark.parametrize("layout", [Layout.RGB, Layout.YUYV, Layout.NV12])
def test_colour_doppler_is_withheld_until_a_second_after_it(layout: Layout) -> None:
    seen = drive(with_flow(i, layout) for i in range(30))
    assert seen[-1].withheld == "colour Doppler"
    watch = Watch()
    for i in range(200):
        rgb = np.repeat(speckle(i)[..., None], 3, axis=2)
        last = watch.step(with_flow(i, Layout.RGB) if i < 30 else frame(rgb), round(i * NS_PER_S / 60))
        if i == 80:
            assert last.withheld == "colour Doppler"
    assert not last.withheld


def test_a_coloured_mark_that_stands_still_is_no_flow() -> None:
    def pictures() -> Iterator[Frame]:
        for i in range(30):
            rgb = np.repeat(speckle(i)[..., None], 3, axis=2)
            rgb[100:140, 260:320] = (20, 200, 30)
            yield frame(rgb)

    assert not any(s.withheld for s in drive(pictures()))


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not here")
def test_real_clips_are_neither_frozen_nor_black_nor_of_many_epochs() -> None:
    states: Counter[str] = Counter()
    for path in sorted(CLIPS.iterdir()):
        clip = open_video(path)
        frames = (Frame(i, 0, p.pixels, p.layout, p.full_range) for i, p in zip(count(), clip.pictures(), strict=False))
        for seen in drive(frames, rate_hz=clip.rate_hz):
            states[seen.state.value if seen.state else seen.withheld or "live"] += 1
            states["epochs"] += bool(seen.changed)
    assert set(states) == {"live", "epochs"} or set(states) == {"live"}
    assert states["epochs"] == 0


@pytest.mark.timing
def test_a_look_at_1080p_takes_a_tenth_of_a_millisecond() -> None:
    rng, clock = np.random.default_rng(0), SystemClock()
    pictures = [rng.integers(0, 256, (1080, 1920), dtype=np.uint8) for _ in range(4)]
    watch, took = Watch(), []
    for i in range(300):
        begun = clock.now_ns()
        watch.step(Frame(i, 0, pictures[i % 4], region=Region(300, 100, 1700, 1000)), i * 16 * NS_PER_MS)
        took.append(clock.now_ns() - begun)
    assert sorted(took)[150] <= 0.1 * NS_PER_MS
