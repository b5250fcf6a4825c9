"""The card of what the phantoms look like, and how well drift from it is told on phantoms it never saw.

``python -m edge3vt.bench.drift make OUT.json`` writes the card that ships with the student;
``python -m edge3vt.bench.drift judge CARD.json`` prints the share of sources with an advice: held-out ones of site A
(false alarms), of site B, and of site A under other gain, range and filters.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.documents import read_json, to_json, write_json
from edge3vt.core.frame import Frame, Pixels
from edge3vt.phantom.cine import Scene
from edge3vt.phantom.scanner import Site
from edge3vt.stream.drift import EVERY_NS, Drift, InputCard, card

SCREENS = ((1024, 768), (800, 600), (1280, 720), (640, 480))
TRAINED = 1_000_000  # first seed of the student's training
HELD_OUT = 8_100_000
PICTURES = 1200
SOURCES = 150
LIT = 8

CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda pixels: pixels,
    "gain + 25": lambda pixels: _lifted(pixels, 25),
    "gain + 50": lambda pixels: _lifted(pixels, 50),
    "contrast x 1.6": lambda pixels: _bytes(pixels * np.float32(1.6)),
    "gamma 2": lambda pixels: _bytes(255 * (pixels / np.float32(255)) ** 2),
    "gamma 0.6": lambda pixels: _bytes(255 * (pixels / np.float32(255)) ** np.float32(0.6)),
    "limited range taken for full": lambda pixels: _bytes(16 + pixels * np.float32(219 / 255)),
    "blur of 1.5 px": lambda pixels: _bytes(cv2.GaussianBlur(pixels, (0, 0), 1.5)),
}


def phantoms(first: int, count: int, site: Site) -> Iterator[Frame]:
    """One picture of each of ``count`` fetuses on screens of four sizes, with region and scale; a third other views."""
    for i in range(count):
        width, height = SCREENS[i % len(SCREENS)]
        scene = Scene(first + i, width, height, kind="view" if i % 3 else "other", site=site)
        yield Frame(i, 0, scene.pixels(0.3), region=scene.region, mm_per_px=scene.mm_per_px)


def made(size: int = 384, pictures: int = PICTURES) -> InputCard:
    """The card of phantoms as the student's training drew them, but not augmented: it is narrower than the training."""
    source = f"{pictures} phantoms of site A on screens, from seed {TRAINED}, a third other views, not augmented"
    return card(phantoms(TRAINED, pictures, "A"), size, source)


def judged(card: InputCard, sources: int = SOURCES) -> dict[str, float]:
    """Share of sources with an advice after ten seconds, each a picture that stands still, by what was changed."""
    told = dict.fromkeys(CHANGES, 0) | {"site B": 0}
    for frame in phantoms(HELD_OUT, sources, "A"):
        for name, change in CHANGES.items():
            told[name] += advised(card, replace(frame, pixels=change(frame.pixels)))
    for frame in phantoms(HELD_OUT, sources, "B"):
        told["site B"] += advised(card, frame)
    return {name: count / sources for name, count in told.items()}


def advised(card: InputCard, frame: Frame) -> bool:
    drift = Drift(card)
    for i in range(10 * NS_PER_S // EVERY_NS):
        drift.step(frame, i * EVERY_NS)
    return drift.newest is not None


def _lifted(pixels: Pixels, by: int) -> Pixels:
    return _bytes(np.where(pixels > LIT, pixels.astype(np.float32) + by, pixels))


def _bytes(values: NDArray[Any]) -> Pixels:
    clipped: Pixels = np.clip(values, 0, 255).astype(np.uint8)
    return clipped


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m edge3vt.bench.drift", description=__doc__)
    parser.add_argument("task", choices=("make", "judge"))
    parser.add_argument("card", type=Path, help="the card to write, or to judge by")
    parser.add_argument("--count", type=int, help="pictures of the card, or sources of the judgement")
    asked = parser.parse_args(arguments)
    if asked.task == "make":
        write_json(made(pictures=asked.count or PICTURES), asked.card)
    else:
        sys.stdout.write(to_json(judged(read_json(InputCard, asked.card), asked.count or SOURCES)))


if __name__ == "__main__":
    main()
