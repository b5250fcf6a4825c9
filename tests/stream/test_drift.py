"""A card of one kind of picture: its own kind is like it, another is not, and costs little to tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import edge3vt
from edge3vt.core.clock import NS_PER_S
from edge3vt.core.documents import parse_json, read_json, to_json
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Frame, Pixels, Region
from edge3vt.phantom.cine import Scene
from edge3vt.stream.drift import NAMES, Drift, Drifted, InputCard, card, statistics

SIZE = 128
SHIPPED = Path(edge3vt.__file__).parent / "assets" / "student-s384" / "inputs.json"


def picture(seed: int, grain: float = 1.6, gain: float = 1.0) -> Frame:
    """Speckle of a drawn level and contrast, in a fan of a drawn width, on a screen with lettering beside it."""
    rng = np.random.default_rng(seed)
    level, contrast = rng.uniform(60, 110), rng.uniform(0.3, 0.5)
    field = cv2.GaussianBlur(rng.normal(0, 1, (160, 200)), (0, 0), sigmaX=grain * rng.uniform(0.9, 1.1), sigmaY=grain)
    speckle = 1 + contrast * field / field.std()
    rows, columns = np.mgrid[:160, :200]
    fan = np.abs(columns - 100) < rng.uniform(20, 40) + rows * 0.4
    pixels = np.zeros((180, 260), np.uint8)
    pixels[10:170, 40:240] = np.where(fan, np.clip(gain * level * speckle, 0, 255), 0)
    pixels[:6] = rng.integers(0, 255, (6, 260))
    return Frame(seed, 0, pixels, region=Region(40, 10, 240, 170), mm_per_px=float(rng.uniform(0.4, 0.6)))


@pytest.fixture(scope="module")
def made() -> InputCard:
    return card((picture(i) for i in range(200)), SIZE, "speckle")


def advice(made: InputCard, frame: Frame, count: int = 20) -> Drifted | None:
    """After ``count`` half seconds of that picture."""
    drift = Drift(made)
    said = None
    for i in range(count):
        said = drift.step(frame, i * NS_PER_S // 2)
    return said


def test_pictures_of_its_own_kind_are_like_it(made: InputCard) -> None:
    assert sum(advice(made, picture(i)) is not None for i in range(1000, 1060)) <= 3


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda i: picture(i, grain=3.0), ("sharpness", "grain_across", "grain_down", "speckle")),
        (lambda i: picture(i, gain=2.2), ("middle", "bright", "saturated")),
        (lambda i: picture(i, gain=0.25), ("dark", "middle", "bright")),
        (lambda i: replace(picture(i), mm_per_px=1.5), ("mm_per_px",)),
        (lambda i: replace(picture(i), region=Region(0, 0, 260, 100)), ("aspect", "lit")),
    ],
)
def test_another_probe_preset_or_scale_is_told_and_named(
    made: InputCard, other: Callable[[int], Frame], named: tuple[str, ...]
) -> None:
    said = [advice(made, other(i)) for i in range(2000, 2010)]
    assert sum(each is not None for each in said) >= 9
    assert sum(each is not None and each.statistic in named for each in said) >= 8
    assert all("unlike those the model was made from" in each.text for each in said if each)


def test_it_waits_for_ten_seconds_and_forgets_another_source(made: InputCard) -> None:
    assert advice(made, picture(1, gain=2.2), count=19) is None
    drift, strange = Drift(made), picture(1, gain=2.2)
    for i in range(20):
        drift.step(strange, i * NS_PER_S // 2)
    assert drift.newest is not None
    assert drift.step(replace(strange, epoch=1), 11 * NS_PER_S) is None


def test_it_looks_twice_a_second_however_often_it_is_asked(made: InputCard) -> None:
    drift, frame = Drift(made), picture(1)
    for i in range(600):
        drift.step(frame, i * NS_PER_S // 60)
    assert len(drift._seen) == 20
    assert advice(made, replace(frame, pixels=np.zeros_like(frame.pixels))) is None  # black is for others to tell


def test_what_lies_outside_the_region_is_not_looked_at(made: InputCard) -> None:
    frame = picture(5)
    name: Pixels = frame.pixels.copy()
    cv2.putText(name, "MUSTERFRAU", (0, 8), cv2.FONT_HERSHEY_PLAIN, 0.7, 255)
    name.flags.writeable = False
    assert statistics(replace(frame, pixels=name), SIZE) == statistics(frame, SIZE)


def test_a_card_comes_back_and_a_foreign_one_is_refused(made: InputCard) -> None:
    assert parse_json(InputCard, to_json(made), where="card") == made
    raw = json.loads(to_json(made))
    for planted, said in (
        ({"names": ["other"]}, "other statistics"),
        ({"mean": [1.0]}, f"expected {len(NAMES)} values"),
        ({"limit": 0.0}, "positive limit"),
    ):
        with pytest.raises(ConfigError, match=said):
            parse_json(InputCard, json.dumps(raw | planted), where="card")
    with pytest.raises(ConfigError, match="few: 5 pictures that are not black; a card takes 100 or more"):
        card((picture(i) for i in range(5)), SIZE, "few")


def test_the_shipped_card_takes_a_phantom_of_its_site_and_not_what_is_strange() -> None:
    shipped = read_json(InputCard, SHIPPED)
    scene = Scene(8_100_001, 800, 600)
    frame = Frame(0, 0, scene.pixels(0.3), region=scene.region, mm_per_px=scene.mm_per_px)
    assert advice(shipped, frame) is None
    noise = np.random.default_rng(1).integers(0, 255, frame.pixels.shape, dtype=np.uint8)
    assert advice(shipped, replace(frame, pixels=noise)) is not None
