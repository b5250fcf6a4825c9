"""A real browser without a screen, and a run that feeds it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.segmentation import Segmentation
from edge3vt.viewer.place import Place
from edge3vt.viewer.sink import ViewSink
from tests.viewer.scenes import CLOCK

PATIENCE_S = 30.0
RATE_HZ = 30
EIGHT_SCREENS = Place(screens=8)


def chromium() -> str:
    """Where it is; skips the tests where there is none."""
    pytest.importorskip("playwright")
    known = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    found = next((path for path in known if path), None)
    if found is None and not Path("/usr/bin/chromium").exists():
        pytest.skip("there is no chromium here")
    return found or "/usr/bin/chromium"


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # the sandbox needs rights that a container may not have
        opened = driver.chromium.launch(executable_path=path, headless=True, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield opened
        finally:
            opened.close()


def wait_for(page: Any, true: str, *, seconds: float = PATIENCE_S) -> None:
    """Until an expression is true in the page, whose policy lets Playwright's own waiting evaluate nothing."""
    end_ns = CLOCK.now_ns() + int(seconds * NS_PER_S)
    while not page.evaluate(true):
        assert CLOCK.now_ns() < end_ns, f"never: {true}"
        page.wait_for_timeout(10)


@dataclass
class Run:
    """A loop that gives out what ``make`` makes of an index, at a rate, as long as ``going``."""

    sink: ViewSink
    links: list[str]
    make: Callable[[int], Segmentation]
    going: threading.Event
    index: int = 0

    def loop(self, ended: threading.Event, rate_hz: float) -> None:
        period_ns, next_ns = int(NS_PER_S / rate_hz), CLOCK.now_ns()
        while not ended.is_set():
            if self.going.is_set():
                self.sink(self.make(self.index))
                self.index += 1
            next_ns = max(next_ns + period_ns, CLOCK.now_ns())
            CLOCK.sleep_until_ns(next_ns)

    def link(self) -> str:
        """The address behind a link, which is used up."""
        line = self.links.pop(next(i for i, line in enumerate(self.links) if "http" in line))
        return next(word for word in line.split() if word.startswith("http"))


@contextmanager
def run(
    make: Callable[[int], Segmentation], *, rate_hz: float = RATE_HZ, place: Place = EIGHT_SCREENS
) -> Iterator[Run]:
    """A run into a viewer."""
    links: list[str] = []
    ended, going = threading.Event(), threading.Event()
    going.set()
    with ViewSink(place, links.append) as sink:
        feeding = Run(sink, links, make, going)
        thread = threading.Thread(target=feeding.loop, args=(ended, rate_hz))
        thread.start()
        try:
            yield feeding
        finally:
            ended.set()
            thread.join()
