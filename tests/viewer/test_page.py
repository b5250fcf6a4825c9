"""The page in a real browser: the picture is there, the overlay obeys, and what is not live is covered."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.core.segmentation import Segmentation, State
from edge3vt.viewer import sink as sinks
from edge3vt.viewer.place import Place, own_address
from tests.viewer.browser import EIGHT_SCREENS, PATIENCE_S, Run, browser, run, wait_for
from tests.viewer.scenes import CLOCK, CROP, HEIGHT, PERIOD_NS, REGION, WIDTH, frame, seg, withheld

STEP = 4
PIXELS = f"""() => {{
  const canvas = document.getElementById('picture');
  const data = canvas.getContext('2d').getImageData(0, 0, {WIDTH}, {HEIGHT}).data, grey = [];
  let coloured = 0;
  for (let y = 0; y < {HEIGHT}; y += {STEP}) for (let x = 0; x < {WIDTH}; x += {STEP}) {{
    const at = 4 * (y * {WIDTH} + x);
    grey.push(data[at]);
    coloured += Math.abs(data[at] - data[at + 1]) + Math.abs(data[at] - data[at + 2]) > 6;
  }}
  return {{index: Number(canvas.dataset.index), grey, coloured, width: canvas.width, height: canvas.height}};
}}"""
OVERLAY = f"""() => {{
  const data = document.getElementById('overlay').getContext('2d').getImageData(0, 0, {WIDTH}, {HEIGHT}).data;
  let painted = 0;
  for (let at = 3; at < data.length; at += 4) painted += data[at] > 0;
  const at = (x, y) => [...data.slice(4 * (y * {WIDTH} + x), 4 * (y * {WIDTH} + x) + 4)];
  return {{painted, first: at(135, 70), hole: at(150, 100), edge: at(120, 100),
    second: at(220, 170), none: at(70, 30)}};
}}"""
TIMES = """() => {
  window.drawn = [];
  window.covered = null;
  const note = () => {
    const cover = document.getElementById('cover');
    if (!cover.hidden && window.covered === null) window.covered = performance.now();
    if (cover.hidden) window.covered = null;
  };
  const picture = document.getElementById('picture');
  let last = picture.dataset.index;
  const count = () => {
    if (picture.dataset.index !== last) window.drawn.push(performance.now());
    last = picture.dataset.index;
  };
  new MutationObserver(count).observe(picture, {attributes: true, attributeFilter: ['data-index']});
  new MutationObserver(note).observe(document.getElementById('cover'), {attributes: true});
}"""
LIVE = "document.getElementById('picture').dataset.index > 3"  # it may be too slow to stay uncovered
SAYS = """JSON.stringify([document.getElementById('state').textContent, document.getElementById('state').dataset.tone,
  document.getElementById('notes').textContent, document.title, !document.getElementById('cover').hidden])"""
LIMIT_MS = 250.0


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def running(chrome: Any) -> Iterator[Run]:
    with run(seg) as feeding:
        yield feeding


@pytest.fixture(scope="module")
def context(chrome: Any, running: Run) -> Iterator[Any]:
    """A browser that was let in."""
    opened = chrome.new_context(viewport={"width": 1280, "height": 800})
    opened.set_default_timeout(1000 * PATIENCE_S)
    enter(opened.new_page(), running)
    yield opened
    opened.close()


@pytest.fixture
def page(context: Any, running: Run) -> Iterator[Any]:
    running.make = seg
    running.going.set()
    said: list[str] = []
    opened = context.new_page()
    opened.on("console", lambda each: said.append(each.text) if "getImageData" not in each.text else None)
    opened.on("pageerror", lambda each: said.append(str(each)))
    opened.on("request", lambda each: said.append(each.url) if not own(each.url, running) else None)
    opened.goto(address(running))
    wait_for(opened, LIVE)
    yield opened
    opened.close()
    assert not said


def address(running: Run) -> str:
    place = running.sink._place
    return f"http://{place.host}:{place.port}/"


def enter(page: Any, running: Run) -> None:
    """By a link, which goes on to the page."""
    page.goto(running.link())
    page.wait_for_url(address(running))


def own(url: str, running: Run) -> bool:
    return url.startswith((address(running), f"blob:{address(running)}"))


def change(page: Any, running: Run, make: Callable[[int], Segmentation], said: str) -> None:
    """Let the run give out something else, and wait until the page says so."""
    running.make = make
    wait_for(page, f"document.getElementById('detail').textContent.includes({said!r})")


# the checkers, each of which a planted bug must not pass


def the_picture_is_there(page: Any) -> None:
    for _ in range(3):
        seen = page.evaluate(PIXELS)
        sent = frame(seen["index"]).pixels[::STEP, ::STEP].astype(int)
        assert (seen["width"], seen["height"], seen["coloured"]) == (WIDTH, HEIGHT, 0)
        wrong = np.abs(np.reshape(seen["grey"], sent.shape) - sent)
        assert (wrong.mean() < 2) & (np.percentile(wrong, 99) < 12), (wrong.mean(), wrong.max())
        wait_for(page, f"document.getElementById('picture').dataset.index > {seen['index']}")


def the_overlay_is_there(page: Any) -> None:
    seen = page.evaluate(OVERLAY)
    red, green, blue, alpha = seen["first"]
    assert abs(alpha - 64) <= 3
    assert max(abs(red - 86), abs(green - 180), abs(blue - 233)) <= 4
    assert seen["second"][3] == alpha
    assert seen["edge"][3] > 120
    assert (seen["hole"][3], seen["none"][3]) == (0, 0)
    inside = (40 * 30 - 100 + 400) * (CROP.side / CROP.size) ** 2
    assert 0.9 * inside < seen["painted"] < 1.25 * inside


def nothing_is_coloured(page: Any) -> None:
    assert page.evaluate(OVERLAY)["painted"] == 0
    assert page.evaluate(PIXELS)["coloured"] == 0


def covered_after_ms(page: Any, stop: Callable[[], object]) -> float:
    """From the last new picture to the cover, by the page's own clock."""
    page.evaluate(TIMES)
    wait_for(page, "window.drawn.length > 2 && document.getElementById('cover').hidden")
    stop()
    wait_for(page, "window.covered !== null")
    took: float = page.evaluate("window.covered - window.drawn.filter((at) => at <= window.covered).at(-1)")
    return took


def it_stays_covered(page: Any, seconds: float = 1.0) -> None:
    """Once a picture that was still on its way has come."""
    wait_for(page, "!document.getElementById('cover').hidden", seconds=10 * seconds)
    page.wait_for_timeout(500)
    end_ns = CLOCK.now_ns() + int(seconds * NS_PER_S)
    while CLOCK.now_ns() < end_ns:
        assert not page.evaluate("document.getElementById('cover').hidden")


def test_the_picture_and_the_overlay_are_there(page: Any) -> None:
    the_picture_is_there(page)
    the_overlay_is_there(page)
    wait_for(page, "document.getElementById('state').textContent === 'LIVE'")
    wait_for(page, "document.getElementById('age').textContent === 'mask age 0 ms'")
    assert page.inner_text("#statement") == "not for diagnosis"
    assert page.is_hidden("#lan")
    assert page.inner_text("#engine") == "student-x 1a2b3c4d"
    wait_for(page, "document.getElementById('rate').textContent.includes('pictures/s')")
    assert " of " in page.inner_text("#drops")
    assert page.inner_text("#stages").startswith("now 11.0 ms: seen 1.0 · prepare 0.8 · infer 7.0")
    drawn = "document.getElementById('chart').getContext('2d').getImageData(0, 0, 560, 180).data.some((v) => v > 120)"
    wait_for(page, drawn)


def test_switches_by_mouse_and_by_key(page: Any) -> None:
    page.uncheck("#structures [data-label='1']")
    seen = page.evaluate(OVERLAY)
    assert (seen["first"][3], seen["edge"][3]) == (0, 0)
    assert seen["second"][3] > 0
    assert page.inner_text("#detail") == "pulmonary artery off"
    page.keyboard.press("0")
    page.check("#contour")
    seen = page.evaluate(OVERLAY)
    assert (seen["first"][3], seen["second"][3]) == (0, 0)
    assert seen["edge"][3] > 120
    page.locator("#contour").blur()
    page.keyboard.press("c")
    page.keyboard.press("+")
    assert abs(page.evaluate(OVERLAY)["first"][3] - 0.3 * 255) <= 3
    assert page.inner_text("#opacity-says") == "30 %"
    page.keyboard.press(" ")
    assert page.evaluate(OVERLAY)["painted"] == 0
    assert page.inner_text("#detail") == "overlay hidden"
    page.keyboard.press(" ")
    page.keyboard.press("2")
    seen = page.evaluate(OVERLAY)
    assert seen["first"][3] > 0
    assert seen["second"][3] == 0


def test_everything_is_reached_by_tab(page: Any) -> None:
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.dataset.label"))
    assert reached == ["shown", "contour", "opacity", "1", "2", "3", "4", "5", "snapshot", "full"]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_withheld_mask_leaves_no_coloured_pixel(page: Any, running: Run) -> None:
    change(page, running, withheld, "no overlay: not the view")
    nothing_is_coloured(page)
    wait_for(page, "document.getElementById('age').textContent === 'no mask'")
    change(page, running, seg, "")
    wait_for(page, "document.getElementById('overlay').dataset.drawn == 2")


STATES = (
    (State.AI_LATE, "", "AI LATE 33 ms", "amber"),
    (State.AI_OFF, "HANG", "AI OFF: HANG", "red"),
    (State.AI_INVALID, "", "AI INVALID", "red"),
    (State.NO_SIGNAL, "", "NO SIGNAL", "red"),
    (State.FROZEN, "", "FROZEN?", "amber"),
    (State.BLACK, "", "BLACK", "amber"),
    (State.FORMAT_CHANGED, "", "FORMAT CHANGED", "amber"),
    (State.LIVE, "", "LIVE", "green"),
)


def in_state(index: int, state: State, code: str) -> Segmentation:
    shot = frame(index)
    age_ns = 33 * NS_PER_MS if state is State.AI_LATE else 0
    return seg(index, frame=shot, mask_ns=shot.captured_ns - age_ns, state=state, code=code, notes=("REC STOPPED",))


def test_every_state_is_said(page: Any, running: Run) -> None:
    assert {state for state, *_ in STATES} == set(State)
    for state, code, says, tone in STATES:
        running.make = partial(in_state, state=state, code=code)
        expected = [says, tone, "REC STOPPED", f"{says} · edge3vt", state is State.NO_SIGNAL]
        wait_for(page, f"{SAYS} === {json.dumps(json.dumps(expected, ensure_ascii=False, separators=(',', ':')))}")
        assert (page.evaluate(OVERLAY)["painted"] > 0) == (state in (State.LIVE, State.AI_LATE))


def test_a_feed_that_stops_is_covered_and_comes_back(page: Any, running: Run) -> None:
    assert covered_after_ms(page, running.going.clear) < 1000
    it_stays_covered(page)
    assert page.inner_text("#state") == "NO NEW PICTURE"
    assert "last picture, not live" in page.inner_text("#cover")
    running.going.set()
    wait_for(page, "document.getElementById('cover').hidden && document.getElementById('state').textContent === 'LIVE'")


def the_same_again(running: Run) -> Callable[[int], Segmentation]:
    last = seg(running.index)
    return lambda index: last


def test_a_picture_that_comes_again_and_again_is_covered(page: Any, running: Run) -> None:
    def stop() -> None:
        running.make = the_same_again(running)

    assert covered_after_ms(page, stop) < 1000
    it_stays_covered(page)
    assert page.inner_text("#cover-what") == page.inner_text("#state") == "NO NEW PICTURE"


@contextmanager
def apart(chrome: Any, rate_hz: float = 30, place: Place = EIGHT_SCREENS) -> Iterator[tuple[Any, Run]]:
    """A run and a browser of their own, which may come to harm."""
    with run(seg, rate_hz=rate_hz, place=place) as running:
        context = chrome.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(1000 * PATIENCE_S)
        page = context.new_page()
        enter(page, running)
        wait_for(page, LIVE)
        yield page, running
        context.close()


@pytest.mark.parametrize("how", [pytest.param(signal.SIGSTOP, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_server_that_stops_or_dies_is_covered(
    how: signal.Signals, chrome: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "REOPEN_NS", NS_PER_S // 5)
    with apart(chrome) as (page, running):
        pid = running.sink._process.pid
        assert pid is not None
        assert covered_after_ms(page, lambda: os.kill(pid, how)) < 1000
        if how == signal.SIGKILL:  # it comes back at its port, and the page with it
            wait_for(page, "document.getElementById('cover').hidden")
            assert running.sink.opened == 2
        else:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
def test_on_the_network_the_screen_around_the_region_is_black_and_the_page_says_why(chrome: Any) -> None:
    with apart(chrome, place=Place(own_address("0.0.0.0"), lan=True)) as (page, _):
        seen = np.reshape(page.evaluate(PIXELS)["grey"], (HEIGHT // STEP, WIDTH // STEP))
        assert seen[:, : REGION.x0 // STEP - 2].max() == 0
        assert seen[:, REGION.x0 // STEP + 2 : REGION.x1 // STEP - 2].max() > 50
        assert page.inner_text("#lan") == "OPEN ON THE NETWORK, NOT ENCRYPTED"


@pytest.mark.timing
@pytest.mark.parametrize("how", ["stopped", "killed", "stalled", "the same"])
def test_the_cover_comes_within_a_quarter_of_a_second(how: str, chrome: Any) -> None:
    with apart(chrome, rate_hz=60) as (page, running):
        pid = running.sink._process.pid
        assert pid is not None
        stops: dict[str, Callable[[], object]] = {
            "stopped": lambda: os.kill(pid, signal.SIGSTOP),
            "killed": lambda: os.kill(pid, signal.SIGKILL),
            "stalled": running.going.clear,
            "the same": lambda: setattr(running, "make", the_same_again(running)),
        }
        took = covered_after_ms(page, stops[how])
        print(f"{how}: covered {took:.0f} ms after the last new picture")
        if how == "stopped":
            os.kill(pid, signal.SIGCONT)
        assert took <= LIMIT_MS


def kept(page: Any, folder: Path) -> tuple[Any, str]:
    """The PNG of a snapshot, and the words that were written into it."""
    page.evaluate(
        "() => { const fill = CanvasRenderingContext2D.prototype.fillText; window.words = [];"
        "CanvasRenderingContext2D.prototype.fillText = function (text, ...at)"
        "{ window.words.push(text); return fill.call(this, text, ...at); }; }"
    )
    with page.expect_download() as download:
        page.keyboard.press("s")
    assert download.value.suggested_filename.startswith("edge3vt-")
    download.value.save_as(folder / "kept.png")
    return cv2.imread(str(folder / "kept.png")), " ".join(page.evaluate("window.words"))


def test_a_snapshot_is_blanked_and_says_what_it_is(page: Any, running: Run, tmp_path: Path) -> None:
    picture, words = kept(page, tmp_path)
    assert picture.shape[1] == WIDTH
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[REGION.y0 : REGION.y1, REGION.x0 : REGION.x1] = False
    assert picture[:HEIGHT][outside].max() == 0
    blue, green, red = picture[70, 135].astype(int)
    assert blue > green > red > 40  # the picture under a quarter of sky blue
    assert picture[HEIGHT:].max() > 200
    for said in ("NOT FOR DIAGNOSIS · ", "mask age 0 ms", "engine student-x 1a2b3c4d", "from a JPEG"):
        assert said in words
    running.going.clear()
    it_stays_covered(page)
    assert "NOT LIVE: no new picture" in kept(page, tmp_path)[1]


def test_an_older_mask_has_a_dashed_outline(page: Any, running: Run) -> None:
    """Of more than two pictures, at 60 Hz here."""

    def make(index: int, age_ns: int) -> Segmentation:
        shot = frame(index, captured_ns=10**9 + index * PERIOD_NS)
        return seg(index, frame=shot, mask_ns=shot.captured_ns - age_ns, state=State.AI_LATE)

    page.check("#contour")
    painted = []
    for periods in (1, 5):
        running.make = partial(make, age_ns=periods * PERIOD_NS)
        wait_for(page, f"document.getElementById('age').textContent === 'mask age {periods * 1000 / 60:.0f} ms'")
        painted.append(page.evaluate(OVERLAY)["painted"])
    assert 0.3 * painted[0] < painted[1] < 0.85 * painted[0]


def test_a_tab_in_the_background_takes_nothing_and_comes_back_covered(page: Any) -> None:
    turn = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    turn += " document.dispatchEvent(new Event('visibilitychange')); return document.getElementById('cover').hidden; }"
    wait_for(page, "document.getElementById('cover').hidden")
    assert page.evaluate(turn, True) is False
    page.wait_for_timeout(300)
    index = page.evaluate("document.getElementById('picture').dataset.index")
    page.wait_for_timeout(300)
    assert page.evaluate("document.getElementById('picture').dataset.index") == index
    assert "in the background" in page.inner_text("#cover-why")
    assert page.evaluate(turn, False) is False
    wait_for(page, "document.getElementById('cover').hidden")


def test_another_page_of_the_same_browser_gets_nothing(page: Any, context: Any, running: Run) -> None:
    evil = context.new_page()
    evil.goto("data:text/html,<p>evil")
    ask = """async (address) => {
      const socket = new WebSocket(address.replace('http', 'ws') + 'feed');
      const opened = await new Promise((told) => {
        socket.onopen = () => told(true);
        socket.onclose = () => told(false);
      });
      const read = await fetch(address, {credentials: 'include'}).then(() => true, () => false);
      return [opened, read];
    }"""
    assert evil.evaluate(ask, address(running)) == [False, False]
    evil.close()
    wait_for(page, "document.getElementById('cover').hidden")  # and the page itself still does


BUGS: dict[str, tuple[str, str, str]] = {
    "the overlay is never cleared": ("viewer.js", "overlayContext.clearRect(", "void ("),
    "the picture is drawn too small": ("viewer.js", "drawImage(bitmap, 0, 0)", "drawImage(bitmap, 0, 0, 40, 30)"),
    "an outline is off by some pixels": ("overlay.js", "left + line[i]", "left + 9 + line[i]"),
    "nobody looks at the clock": ("viewer.js", "age > limit()", "false"),
    "a picture that comes again counts as new": ("viewer.js", "if (key !== seen)", "if (true)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS)
def test_a_page_with_a_bug_is_found(bug: str, page: Any, running: Run) -> None:
    name, right, wrong = BUGS[bug]
    source = (Path(__file__).parents[2] / "edge3vt/viewer/assets" / name).read_text()
    assert right in source
    page.route(f"**/{name}", lambda way: way.fulfill(body=source.replace(right, wrong), content_type="text/javascript"))
    page.reload()
    wait_for(page, LIVE)
    if bug == "the overlay is never cleared":
        change(page, running, withheld, "no overlay")
        checker: Callable[[Any], object] = nothing_is_coloured
    elif "picture is drawn" in bug:
        checker = the_picture_is_there
    elif "outline" in bug:
        checker = the_overlay_is_there
    else:
        running.make = the_same_again(running)
        checker = it_stays_covered
    with pytest.raises(AssertionError):
        checker(page)
