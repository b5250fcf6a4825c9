"""What is sent of a picture, and what is not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.frame import Layout
from edge3vt.core.segmentation import Mask, Segmentation, State
from edge3vt.viewer.feed import SIZES, Feed, Parcel, encoded, runs
from tests.viewer.scenes import CROP, HEIGHT, PERIOD_NS, REGION, SPEC, WIDTH, frame, mask, seg, withheld


def sent(one: Segmentation, *, lan: bool = False) -> tuple[dict[str, Any], np.ndarray[Any, Any], bytes]:
    """Facts, picture and runs of its message."""
    message = Feed(lan=lan).message(Parcel(one, SPEC, 7, 1000), 3_001_000)
    facts, jpeg = SIZES.unpack_from(message)
    at = SIZES.size + facts
    picture = cv2.imdecode(np.frombuffer(message[at : at + jpeg], np.uint8), cv2.IMREAD_UNCHANGED)
    return json.loads(message[SIZES.size : at]), np.asarray(picture), message[at + jpeg :]


def unrolled(data: bytes) -> Mask:
    words = np.frombuffer(data, "<u4")
    return np.repeat((words >> 24).astype(np.uint8), words & 0xFFFFFF).reshape(100, 100)


def test_a_picture_its_facts_and_its_mask() -> None:
    one = seg(3, notes=("REC STOPPED: DISK",))
    facts, picture, data = sent(one)
    assert picture.shape == (HEIGHT, WIDTH)
    assert np.abs(picture.astype(int) - one.frame.pixels).max() <= 8
    assert np.array_equal(unrolled(data), mask())
    assert facts["mask"] == {"size": 100, "crop": [CROP.x, CROP.y, CROP.side], "old": False}
    assert (facts["index"], facts["count"], facts["state"], facts["says"]) == (3, 7, "LIVE", "LIVE")
    assert (facts["mask_age_ms"], facts["waited_ms"], facts["verdict"]) == (0, 3, "on_time")
    assert facts["region"] == [REGION.x0, REGION.y0, REGION.x1, REGION.y1]
    assert facts["structures"][0] == ["pulmonary artery", [86, 180, 233]]
    assert len(facts["structures"]) == 5
    assert (facts["engine"], facts["training"]) == (one.model_id, SPEC.training)
    assert (facts["statement"], facts["notes"]) == ("not for diagnosis", ["REC STOPPED: DISK"])
    assert facts["timing_ms"]["total"] == 11


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (withheld(0), "not the view"),
        (seg(0, state=State.AI_OFF, code="HANG"), "ai off"),
        (seg(0, state=State.FROZEN), "frozen?"),
        (seg(0, mask_ns=None), "mask without a time"),
        (seg(0, mask=None), "mask without a time"),
        (seg(0, mask_ns=frame(0).captured_ns + 10**9), "mask without a time"),
        (seg(0, mask_ns=frame(0).captured_ns - 101 * NS_PER_MS), "mask too old"),
    ],
)
def test_a_mask_that_must_not_be_drawn_is_not_sent(one: Segmentation, why: str) -> None:
    facts, _, data = sent(one)
    assert (facts["mask"], facts["withheld"], data) == (None, why, b"")


def test_an_older_mask_is_marked_once_it_is_older_than_two_pictures() -> None:
    feed = Feed()
    for periods, old in ((0, False), (2, False), (3, True)):
        shot = frame(periods, captured_ns=10**9 + periods * PERIOD_NS)
        one = seg(0, frame=shot, mask_ns=shot.captured_ns - periods * PERIOD_NS, state=State.AI_LATE)
        message = feed.message(Parcel(one, None, 1, 0), 0)
        facts = json.loads(message[SIZES.size :][: SIZES.unpack_from(message)[0]])
        assert facts["mask"]["old"] is old
        assert facts["says"] == f"AI LATE {periods * 1000 / 60:.0f} ms"


def test_the_network_sees_nothing_outside_the_region() -> None:
    _, here, _ = sent(seg(3))
    _, there, _ = sent(seg(3), lan=True)
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[REGION.y0 - 8 : REGION.y1 + 8, REGION.x0 - 8 : REGION.x1 + 8] = False  # a JPEG's blocks
    assert here[outside].min() >= 18
    assert there[outside].max() == 0
    inside = (slice(REGION.y0 + 16, REGION.y1 - 16), slice(REGION.x0 + 16, REGION.x1 - 16))
    assert np.abs(there[inside].astype(int) - here[inside]).max() <= 4


@pytest.mark.parametrize("layout", [Layout.RGB, Layout.BGR])
def test_colours_stay_what_they_are(layout: Layout) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :, 0 if layout is Layout.RGB else 2] = 200
    picture = cv2.imdecode(np.frombuffer(encoded(frame(0, pixels=pixels, layout=layout)), np.uint8), cv2.IMREAD_COLOR)
    blue, green, red = np.asarray(picture)[32, 32].astype(int)
    assert abs(red - 200) < 8
    assert max(blue, green) < 8


def test_a_limited_range_is_widened() -> None:
    black = encoded(frame(0, pixels=np.full((64, 64), 16, np.uint8), full_range=False))
    assert np.asarray(cv2.imdecode(np.frombuffer(black, np.uint8), cv2.IMREAD_UNCHANGED)).max() <= 2


@pytest.mark.parametrize("label", [0, 5, 255])
def test_runs_of_one_label(label: int) -> None:
    assert np.array_equal(unrolled(runs(np.full((100, 100), label, np.uint8))), np.full((100, 100), label))


def test_runs_are_small_and_whole_for_any_mask() -> None:
    noise = np.random.default_rng(1).integers(0, 64, (100, 100), dtype=np.uint8)
    assert np.array_equal(unrolled(runs(noise)), noise)
    assert len(runs(mask())) < 1000


def test_another_model_has_other_names() -> None:
    one = seg(0)
    message = Feed().message(Parcel(one, replace(SPEC, classes=("background", "left_nerve")), 1, 0), 0)
    facts = json.loads(message[SIZES.size :][: SIZES.unpack_from(message)[0]])
    assert [name for name, _ in facts["structures"]] == ["left nerve"]
