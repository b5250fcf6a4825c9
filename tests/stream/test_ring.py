"""Frames through the ring: everything of a frame travels, and nothing else ever comes out."""

from __future__ import annotations

import multiprocessing
import os
import random
from contextlib import closing
from dataclasses import fields, replace
from multiprocessing import resource_tracker

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_MS, SystemClock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Crop, Frame, Layout, Region
from edge3vt.stream import ring as module
from edge3vt.stream.ring import Ring

PLAIN = Frame(7, 123_456_789_012_345, np.arange(48, dtype=np.uint8).reshape(6, 8))
FULL = replace(PLAIN, epoch=3, region=Region(-1, 2, 5, 6), mm_per_px=0.117, repeat_of=6, full_range=False)
SHAPES = {
    Layout.GRAY: (6, 8),
    Layout.NV12: (6, 8),
    Layout.YUYV: (6, 4, 2),
    Layout.RGB: (2, 8, 3),
    Layout.BGR: (8, 2, 3),
}


def assert_same(a: Frame, b: Frame) -> None:
    for field in fields(Frame):
        if field.name != "pixels":
            assert getattr(a, field.name) == getattr(b, field.name), field.name
    np.testing.assert_array_equal(a.pixels, b.pixels)


def through(ring: Ring, frame: Frame, crop: Crop | None = None) -> tuple[Frame, Crop | None]:
    ring.put(frame, crop)
    (taken,), lost = ring.take()
    assert lost == 0
    return taken


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("crop", [None, Crop(-3, 4, 30, 384), Crop(1, 2, 3, 4, "track")])
def test_everything_of_a_frame_travels(layout: Layout, crop: Crop | None) -> None:
    with closing(Ring.create(2, 48)) as ring:
        for frame in (PLAIN, FULL, replace(FULL, repeat_of=0), replace(PLAIN, index=-1, captured_ns=-5)):
            sent = replace(frame, pixels=frame.pixels.reshape(SHAPES[layout]), layout=layout)
            got, got_crop = through(ring, sent, crop)
            assert_same(got, sent)
            assert got_crop == crop
            assert not got.pixels.flags.writeable


def test_a_taken_frame_is_a_copy_and_a_view_may_be_put() -> None:
    with closing(Ring.create(2, 48)) as ring:
        view = replace(PLAIN, pixels=PLAIN.pixels[::2, ::-1])
        got, _ = through(ring, view)
        for index in range(4):
            ring.put(replace(PLAIN, index=index, pixels=np.zeros((6, 8), np.uint8)))
        assert_same(got, view)


def test_the_newest_frames_win() -> None:
    with closing(Ring.create(4, 48)) as ring:
        for index in range(10):
            ring.put(replace(PLAIN, index=index))
        frames, lost = ring.take()
        assert ([frame.index for frame, _ in frames], lost) == ([6, 7, 8, 9], 6)
        for index in range(10, 13):
            ring.put(replace(PLAIN, index=index))
        frames, lost = ring.take(newest=1)
        assert ([frame.index for frame, _ in frames], lost) == ([12], 2)


def test_a_frame_larger_than_agreed_is_one_line() -> None:
    with closing(Ring.create(2, 47)) as ring, pytest.raises(DataError) as caught:
        ring.put(PLAIN)
    assert str(caught.value) == (
        "frame 7: 8x6 GRAY takes 48 bytes, the ring was made for 47; make a new ring when the format changes"
    )


def test_heads_that_cannot_be_frames_are_lost_and_counted() -> None:
    dice = random.Random(0)
    head = module._packed(FULL, Crop(1, 2, 3, 4))
    refused = 0
    with closing(Ring.create(2, 48)) as ring:
        for _ in range(300):
            hostile = bytearray(head[: dice.randrange(len(head) + 1)])
            for _ in range(dice.randrange(1, 9)):
                if hostile:
                    hostile[dice.randrange(len(hostile))] = dice.randrange(256)
            ring._slots.put(bytes(hostile), PLAIN.pixels)
            frames, lost = ring.take()
            assert len(frames) + lost == 1
            refused += lost
        assert ring.corrupt == refused
        assert 100 < refused < 300, "some changes make another frame, which the checksum of the slot is for"


def copy_frames(source: Ring, drain: Ring) -> None:
    while True:
        source.wait(None)
        for frame, crop in source.take()[0]:
            drain.put(frame, crop)


def test_frames_cross_to_a_process_and_back_and_leave_nothing() -> None:
    resource_tracker.ensure_running()  # multiprocessing starts it with the first process, and keeps it
    named, files = os.listdir("/dev/shm"), len(os.listdir("/proc/self/fd"))
    there, back = Ring.create(4, 48, check_pixels=True), Ring.create(4, 48, check_pixels=True)
    process = multiprocessing.get_context("spawn").Process(target=copy_frames, args=(there, back), daemon=True)
    process.start()
    for index in range(20):
        sent = replace(FULL, index=index)
        there.put(sent, Crop(0, 0, 6, 6))
        assert back.wait(SystemClock().now_ns() + 20_000 * NS_PER_MS)
        ((got, crop),), lost = back.take()
        assert_same(got, sent)
        assert (crop, lost) == (Crop(0, 0, 6, 6), 0)
    process.kill()
    process.join()
    process.close()
    there.close()
    back.close()
    assert len(os.listdir("/proc/self/fd")) == files
    assert os.listdir("/dev/shm") == named
