"""What the window shows and what its keys do, in this process, on SDL's dummy screen."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3vt.core.clock import ManualClock
from edge3vt.core.frame import Frame, Region
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.picture.crop import acquire
from edge3vt.picture.draw import Composer
from edge3vt.picture.images import read_image
from edge3vt.picture.view import View
from edge3vt.stream.sinks.keys import LIST
from edge3vt.stream.sinks.screen import Places, Screen, serve

pygame: Any = pytest.importorskip("pygame")


def seg(index: int, size: tuple[int, int] = (320, 240), epoch: int = 0) -> Segmentation:
    grey = np.random.default_rng(index).integers(0, 255, (size[1], size[0]), dtype=np.uint8)
    frame = Frame(index, index * 16_666_667, grey, epoch=epoch, region=Region(10, 5, size[0] - 10, size[1] - 40))
    return Segmentation(frame, None, None, None, Verdict.ON_TIME, "", False, State.LIVE, (), False, "", "model")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(10**9)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: ManualClock) -> Iterator[Screen]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    yield Screen("edge3vt", Places(tmp_path / "snaps", tmp_path / "wrong"), clock)
    pygame.display.quit()


def on_screen() -> np.ndarray:
    return pygame.surfarray.array3d(pygame.display.get_surface()).transpose(1, 0, 2)


def press(*keys: int) -> None:
    for key in keys:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))


def test_pictures_are_shown_in_their_colours_and_size(screen: Screen) -> None:
    for index, size in enumerate([(320, 240), (400, 300)]):
        screen.show(seg(index, size), None)
        assert on_screen().shape == (size[1], size[0], 3)
    alone = Composer()
    alone(seg(0))
    assert np.array_equal(on_screen(), alone(seg(1, (400, 300))))


def test_keys_work_while_the_picture_stands_still(screen: Screen) -> None:
    screen.show(seg(0), None)
    before = on_screen()
    press(pygame.K_b)
    screen.attend()
    assert on_screen().shape == (240, 640, 3)
    assert np.array_equal(on_screen()[:, :320, 0], seg(0).frame.pixels)
    assert np.array_equal(on_screen()[:, 320:], before)  # its heartbeat too: nothing came
    press(pygame.K_b, pygame.K_l)
    screen.attend()
    assert screen.view == View(fetal_left="left")
    screen.show(seg(1, epoch=1), None)
    press(pygame.K_c)
    screen.attend()
    assert screen.view == View(contour_only=True, epoch=1)


def test_the_list_of_keys_is_shown_and_put_away(screen: Screen) -> None:
    screen.show(seg(0), None)
    before = on_screen()
    press(pygame.K_F1)
    screen.attend()
    assert np.any(on_screen() != before, axis=2).mean() > 0.2
    assert len(LIST) > 9
    press(pygame.K_h)
    screen.attend()
    assert np.array_equal(on_screen(), before)


def test_when_nothing_comes_any_more_it_says_so_and_invents_nothing(screen: Screen, clock: ManualClock) -> None:
    screen.show(seg(0), None)
    clock.advance_ms(17)
    screen.show(seg(1), None)
    alive = on_screen()
    clock.advance_ms(249)
    screen.attend()
    assert np.array_equal(on_screen(), alive)
    clock.advance_ms(2)
    screen.attend()
    lost = on_screen()
    assert np.any(lost[60:180] != alive[60:180])
    assert np.array_equal(lost[:40], alive[:40])
    screen.show(seg(2), None)
    assert not np.any(np.all(on_screen()[60:180] == (255, 110, 95), axis=2))


def test_a_slow_source_is_not_lost(screen: Screen, clock: ManualClock) -> None:
    screen.show(seg(0), None)
    clock.advance_ms(500)
    screen.show(seg(1), None)
    shown = on_screen()
    clock.advance_ms(900)
    screen.attend()
    assert np.array_equal(on_screen(), shown)


def test_snapshots_are_blanked_and_never_replace_one(screen: Screen, tmp_path: Path) -> None:
    screen.show(seg(0), None)
    press(pygame.K_s, pygame.K_s, pygame.K_s)
    screen.attend()
    kept = sorted((tmp_path / "snaps").iterdir())
    assert len(kept) == 3
    picture = read_image(kept[0])
    assert np.array_equal(picture[5:200, 10:310, 0], seg(0).frame.pixels[5:200, 10:310])
    assert not picture[:5].any()
    assert not picture[:200, :10].any()


def test_a_wrong_mask_is_queued_and_said(screen: Screen, tmp_path: Path, clock: ManualClock) -> None:
    screen.show(seg(0), None)
    before = on_screen()
    press(pygame.K_m)
    screen.attend()
    assert "no mask" in screen._notice
    assert np.any(on_screen()[:60] != before[:60])
    clock.advance_ms(3001)
    screen._came_ns = clock.now_ns()
    screen.attend()
    assert np.array_equal(on_screen(), before)
    (tmp_path / "wrong").write_text("a file is in the way")
    mask, crop = np.ones((8, 8), np.uint8), acquire(seg(0).frame, 8)
    screen.show(replace(seg(0), mask=mask, mask_ns=0, crop=crop), None)
    press(pygame.K_m)
    screen.attend()
    assert screen._notice.startswith("not kept: ")


@pytest.mark.parametrize("how", ["escape", "close"])
def test_whoever_watches_can_close_it(screen: Screen, how: str) -> None:
    screen.show(seg(0), None)
    pygame.event.post(
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE) if how == "escape" else pygame.event.Event(pygame.QUIT)
    )
    screen.attend()
    assert screen.closed


def test_the_process_answers_and_ends_with_whoever_asked(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)  # not in this process
    its_pictures, pictures = multiprocessing.Pipe(duplex=False)
    answers, its_answers = multiprocessing.Pipe(duplex=False)
    pictures.send((seg(0, (64, 48)), None))
    pictures.close()
    thread = threading.Thread(target=serve, args=("edge3vt", Places(tmp_path), its_pictures, its_answers))
    thread.start()
    thread.join(10)
    assert answers.recv() == "open"
    assert not answers.poll()


def test_the_process_says_that_the_region_is_right(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    attend = Screen.attend

    def pressing(self: Screen) -> None:
        attend(self)
        self.press("r")

    monkeypatch.setattr(Screen, "attend", pressing)
    its_pictures, pictures = multiprocessing.Pipe(duplex=False)
    answers, its_answers = multiprocessing.Pipe(duplex=False)
    pictures.send((seg(0, (64, 48)), None))
    pictures.close()
    thread = threading.Thread(target=serve, args=("edge3vt", Places(tmp_path), its_pictures, its_answers))
    thread.start()
    thread.join(10)
    assert [answers.recv(), answers.recv()] == ["open", "confirmed"]
