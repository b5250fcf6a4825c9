"""The reading page in a real browser."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge3vt.core.errors import ConfigError
from edge3vt.viewer.drawing import Drawing, Point, crossing
from edge3vt.viewer.lectern import ASSETS
from tests.viewer.readers import HEIGHT, PLACES, STRUCTURES, WIDTH, FolderDesk, Room, Served, proposal

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a chromium")
PATIENCE_MS = 20_000
IMPATIENCE_MS = 1500
SIZE = {"width": 1000, "height": 640}
BOW = ((120.0, 60.0), (170.0, 110.0), (170.0, 60.0), (120.0, 100.0))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def tab(browser: Any) -> Any:
    """One page for many tests: each has a server of its own at a port of its own, and so its own storage."""
    return browser.new_context(viewport=SIZE).new_page()


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    opened = Room()
    yield opened
    opened.close()


@dataclass
class Reader:
    """Somebody before the page."""

    page: Any
    served: Served
    desk: FolderDesk
    patience_ms: int = PATIENCE_MS

    def sees(self, name: str, text: str) -> None:
        """Wait until an element says so."""
        found = playwright.expect(self.page.locator(f"#{name}"))
        found.to_contain_text(re.compile(text, re.DOTALL), timeout=self.patience_ms)

    def saved(self, case: str = "k7") -> Drawing:
        """What is kept, once the page says that all is."""
        self.sees("kept", "✓ Saved")
        saved = self.desk.saved(case)
        assert saved is not None
        return saved

    def place(self, x: float, y: float) -> Point:
        """Where a point of the picture is in the window, the whole picture being shown."""
        box, scale = self.page.locator("#picture").bounding_box(), self.scale
        left, top = (box["width"] - WIDTH * scale) / 2, (box["height"] - HEIGHT * scale) / 2
        return box["x"] + left + x * scale, box["y"] + top + y * scale

    @property
    def scale(self) -> float:
        box = self.page.locator("#picture").bounding_box()
        return float(min(box["width"] / WIDTH, box["height"] / HEIGHT) * 0.98)

    def click(self, *points: Point, **how: Any) -> None:
        for point in points:
            self.page.mouse.click(*self.place(*point), **how)

    def drag(self, *points: Point) -> None:
        self.page.mouse.move(*self.place(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.place(*point))
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def go(self, case: int) -> None:
        self.sees("where", f"^Case {case} of 3$")

    def enter(self, served: Served, case: int = 1) -> None:
        self.served = served
        self.page.goto(served.link)
        self.go(case)

    def colour(self, x: float, y: float) -> tuple[int, ...]:
        """The colour of the canvas at a point of the picture, once what was asked for is drawn."""
        read = """([x, y]) => new Promise((done) => requestAnimationFrame(() => {
            const canvas = document.getElementById("picture"), ratio = canvas.width / canvas.clientWidth;
            done([...canvas.getContext("2d").getImageData(x * ratio, y * ratio, 1, 1).data]);
        }))"""
        box, (at_x, at_y) = self.page.locator("#picture").bounding_box(), self.place(x, y)
        return tuple(self.page.evaluate(read, [at_x - box["x"], at_y - box["y"]])[:3])


@pytest.fixture
def reading(browser: Any, tab: Any, room: Room, tmp_path: Path) -> Iterator[Callable[..., Reader]]:
    """Opens a page on a new desk; ``planted`` changes one file of it. No page may have an error of its own."""
    pages: list[Any] = []
    served: list[Served] = []
    errors: list[str] = []

    def failed(error: Any) -> None:
        errors.append(str(error))

    def said(message: Any) -> None:
        if "Content Security" in message.text:
            errors.append(message.text)

    def begin(planted: tuple[str, str, str] | None = None, clock: bool = False, **how: Any) -> Reader:
        page = browser.new_page(viewport=SIZE) if planted or clock else tab
        page.on("pageerror", failed)
        page.on("console", said)
        pages.append(page)
        if clock:
            page.clock.install()
        if planted is not None:
            name, old, new = planted
            source = (ASSETS / name).read_text(encoding="utf-8")
            assert source.count(old) == 1
            changed = source.replace(old, new)
            page.route(f"**/{name}", lambda route: route.fulfill(body=changed, content_type="text/javascript"))
        served.append(room.open(tmp_path, **how))
        reader = Reader(page, served[-1], FolderDesk(tmp_path))
        reader.enter(served[-1])
        return reader

    yield begin
    for page in pages:
        page.remove_listener("pageerror", failed)
        page.remove_listener("console", said)
        if page is not tab:
            page.close()
    for each in served:
        with suppress(ProcessLookupError):
            each.end()
    assert errors == []


@pytest.fixture
def reader(reading: Callable[..., Reader]) -> Reader:
    return reading()


def close_to(points: tuple[Point, ...], expected: tuple[Point, ...], within: float = 0.6) -> bool:
    return len(points) == len(expected) and all(math.dist(a, b) < within for a, b in zip(points, expected, strict=True))


def test_a_polygon_by_mouse_is_drawn_where_it_was_clicked_and_kept(reader: Reader) -> None:
    assert reader.desk.saved("k7") is None
    triangle = ((40.0, 40.0), (100.0, 50.0), (70.0, 100.0))
    reader.click(*triangle)
    draft = reader.saved().draft
    assert draft is not None
    assert close_to(draft.points, triangle)
    reader.click(triangle[0])
    (contour,) = reader.saved().contours
    assert contour.structure == "pulmonary_artery"
    assert close_to(contour.points, triangle)
    assert reader.saved().draft is None
    red, green, blue = reader.colour(70, 45)  # half-way along an edge
    assert blue > 200 > green > red
    assert max(reader.colour(70, 60)) < 120  # inside, the picture is as it was
    reader.sees("advice", "Pulmonary artery is drawn. Next: Aortic arch")


def test_a_whole_case_without_a_mouse(reader: Reader) -> None:
    reader.press("ArrowRight", "Space")  # the cross begins in the middle
    reader.press(*["Shift+ArrowRight"] * 3, "Space", *["Shift+ArrowDown"] * 3, "Space", "Enter")
    (contour,) = reader.saved().contours
    assert len(contour.points) == 3
    corner = contour.points[2]
    reader.press(",", ".", "Space", *["Shift+ArrowDown"] * 2, "Space")  # to its last point, take it along, let go
    moved = reader.saved().contours[0].points[2]
    assert moved[0] == pytest.approx(corner[0])
    assert moved[1] > corner[1] + 5
    reader.press(*["Shift+ArrowUp"] * 2, "Space", *["Shift+ArrowRight"] * 2, "Enter")  # an edge: a point is put in
    (contour,) = reader.saved().contours
    assert len(contour.points) == 4
    reader.press("Delete")
    assert len(reader.saved().contours[0].points) == 3
    reader.press("2", "0", "3", "0", "d")
    reader.sees("advice", "Not finished. Trachea: not dealt with")
    assert not reader.saved().done
    reader.press("0", "d")
    saved = reader.saved()
    assert saved.done
    assert saved.not_seen == STRUCTURES[1:]
    reader.sees("advice", "This case is finished")
    reader.press("x", "0", "Control+z", "Space")
    assert reader.saved() == saved
    reader.press("n")
    reader.go(2)
    reader.press("p")
    reader.go(1)
    reader.press("d")
    reader.sees("advice", "Every structure is dealt with")
    assert not reader.saved().done


def test_undo_and_redo(reader: Reader) -> None:
    square = ((40.0, 40.0), (80.0, 40.0), (80.0, 80.0), (40.0, 80.0))
    reader.click(*square)
    reader.press("Enter", "Control+z")
    draft = reader.saved().draft
    assert draft is not None
    assert len(draft.points) == 4
    reader.press("Control+z")
    assert len(reader.saved().draft.points) == 3  # type: ignore[union-attr]
    reader.press("Control+y", "Control+Shift+z")
    assert close_to(reader.saved().contours[0].points, square)
    reader.click((60, 60))
    reader.press("x")
    assert reader.saved().contours == ()
    reader.press("Control+z", "Control+z")
    assert len(reader.saved().contours) == 1
    reader.drag((80, 80), (110, 110))
    assert close_to(reader.saved().contours[0].points, (*square[:2], (110.0, 110.0), square[3]))
    reader.drag((60, 40), (60, 20))
    assert close_to(reader.saved().contours[0].points, (square[0], (60.0, 20.0), square[1], (110.0, 110.0), square[3]))
    reader.click((60, 20), button="right")
    assert len(reader.saved().contours[0].points) == 4
    reader.press("Control+z", "Control+z", "Control+z")
    assert close_to(reader.saved().contours[0].points, square)


def test_a_part_of_a_contour_is_drawn_anew(reader: Reader) -> None:
    square = ((40.0, 40.0), (100.0, 40.0), (100.0, 100.0), (40.0, 100.0))
    reader.click(*square)
    reader.press("Enter")
    reader.page.keyboard.down("Shift")
    reader.drag((60, 40), (70, 20), (80, 20), (90, 40))
    reader.page.keyboard.up("Shift")
    (contour,) = reader.saved().contours
    assert all(any(math.dist(corner, point) < 0.6 for point in contour.points) for corner in square)
    bulge = [point for point in contour.points if point[1] < 39]
    assert [round(y) for _, y in bulge] == [20, 20]
    assert crossing(contour.points) is None
    reader.press("Control+z")
    assert close_to(reader.saved().contours[0].points, square)
    reader.page.keyboard.down("Shift")
    reader.drag((60, 40), (70, 20), (80, 20), (85, 20))
    reader.page.keyboard.up("Shift")
    reader.sees("advice", "With Shift")
    assert close_to(reader.saved().contours[0].points, square)


def test_a_line_by_free_hand_closes_itself_and_has_few_points(reader: Reader) -> None:
    x, y = PLACES["trachea"]
    reader.press("4")
    reader.drag(*((x + 20 * math.cos(a / 6), y + 20 * math.sin(a / 6)) for a in range(38)))
    (contour,) = reader.saved().contours
    assert contour.structure == "trachea"
    assert 10 < len(contour.points) < 38
    assert all(math.dist(point, (x, y)) == pytest.approx(20, abs=1.2) for point in contour.points)
    reader.press("Control+z")
    assert reader.saved().contours == ()
    assert reader.saved().draft is None


def test_zoomed_in_a_click_hits_the_point_under_it(reader: Reader) -> None:
    still = reader.place(60, 70)
    reader.page.mouse.move(*still)
    reader.page.mouse.wheel(0, -800)
    reader.page.mouse.click(*still)
    draft = reader.saved().draft
    assert draft is not None
    assert close_to(draft.points, ((60.0, 70.0),), 0.3)
    reader.page.mouse.click(still[0] + 60, still[1])
    moved = reader.saved().draft.points[1][0] - 60  # type: ignore[union-attr]
    assert moved == pytest.approx(60 / (reader.scale * math.exp(0.0015 * 800)), abs=0.3)
    reader.press("f")
    reader.click((100, 70))
    assert reader.saved().draft.points[2][0] == pytest.approx(100, abs=0.6)  # type: ignore[union-attr]


def crossing_is_told(reader: Reader) -> None:
    """Told at once, shown at its place, and not accepted as done."""
    reader.press("2", "0", "3", "0", "4", "0", "1")
    reader.click(*BOW)
    reader.press("Enter")
    reader.sees("advice", "Pulmonary artery: the contour crosses itself at the red mark")
    red, green, blue = reader.colour(142.2, 82.2)
    assert red > 200 > 2 * max(green, blue)
    assert not reader.saved().done
    reader.press("d")
    reader.sees("advice", "Not finished. Pulmonary artery: the contour crosses itself")
    assert not reader.saved().done


def test_a_contour_that_crosses_itself_is_told_and_can_be_put_right(reader: Reader) -> None:
    crossing_is_told(reader)
    reader.drag(BOW[1], (200, 30))
    reader.sees("advice", "Every structure is dealt with")
    reader.press("d")
    reader.sees("advice", "This case is finished")
    assert reader.saved().done


@pytest.mark.slow
def test_a_page_that_does_not_see_a_crossing_is_caught_and_its_server_refuses_what_it_finishes(
    reading: Callable[..., Reader],
) -> None:
    reader = reading(planted=("reading-lines.js", "if (place) places.push(place);", ""))
    reader.patience_ms = IMPATIENCE_MS
    with pytest.raises(AssertionError, match="crosses itself"):
        crossing_is_told(reader)
    reader.press("d")
    reader.sees("kept", r"NOT SAVED: refused \(the drawing: .*pulmonary_artery: the contour crosses itself")


def test_the_page_finds_the_crossings_that_the_server_finds(reader: Reader) -> None:
    numbers = random.Random(7)
    lines = [
        [(numbers.randint(0, 12), numbers.randint(0, 12)) for _ in range(numbers.randint(3, 7))] for _ in range(400)
    ]
    lines += [[(numbers.uniform(0, 9), numbers.uniform(0, 9)) for _ in range(5)] for _ in range(400)]
    ask = """async (lines) => {
        const { crossings } = await import("/reading-lines.js");
        return lines.map((line) => crossings(line)[0] ?? null);
    }"""
    found = [None if place is None else tuple(place) for place in reader.page.evaluate(ask, lines)]
    expected = [crossing(line) for line in lines]
    assert found == expected
    assert 100 < sum(place is None for place in expected) < 700


def test_what_was_drawn_is_there_after_a_reload(reader: Reader) -> None:
    reader.click((40, 40), (100, 50), (70, 100))
    reader.press("Enter", "2", "0", "3")
    reader.click((150, 60), (170, 60))
    before = reader.saved()
    assert before.draft is not None
    reader.page.reload()
    reader.go(1)
    reader.sees("structures", "drawn.*not seen.*line open.*to do")
    reader.press("3")
    reader.click((160, 90))
    reader.press("Enter", "4", "0", "d")
    after = reader.saved()
    assert after.done
    assert after.contours[0] == before.contours[0]
    assert after.contours[1].points[:2] == before.draft.points
    assert after.seconds >= before.seconds
    reader.page.reload()
    reader.go(2)  # the first that is not finished
    reader.press("p")
    reader.go(1)
    reader.sees("advice", "This case is finished")


def test_the_ai_s_contours_can_be_changed_and_deleted(reader: Reader) -> None:
    playwright.expect(reader.page.locator("#given")).to_be_hidden()
    reader.press("n")
    reader.go(2)
    reader.sees("given", "contours proposed by the AI")
    given = proposal(STRUCTURES[:3])
    corner = given[0].points[3]
    reader.drag(corner, (corner[0], corner[1] + 15))
    reader.press("2")
    reader.page.get_by_role("button", name="Delete", exact=True).click()
    reader.press("0", "4", "0")
    saved = reader.saved("q2")
    assert [contour.structure for contour in saved.contours] == ["pulmonary_artery", "superior_vena_cava"]
    assert saved.contours[1] == given[2]
    assert saved.contours[0].points[:3] == given[0].points[:3]
    assert saved.contours[0].points[3][1] == pytest.approx(corner[1] + 15, abs=0.6)
    reader.press("n")
    reader.go(3)
    reader.sees("given", "The AI proposed no contour")
    reader.page.reload()
    reader.go(1)
    reader.press("n")
    reader.go(2)
    reader.press("d")
    reader.sees("advice", "This case is finished")
    assert reader.saved("q2").contours == saved.contours


def absence_is_survived(reader: Reader, room: Room) -> None:
    """A server that dies is told of; what was drawn meanwhile is kept once its successor's link is opened."""
    reader.click((40, 40), (100, 50), (70, 100))
    reader.press("Enter")
    reader.saved()
    reader.served.end()
    reader.press("2")
    reader.click((150, 60), (190, 60), (160, 90))
    reader.press("Enter")
    reader.sees("kept", "NOT SAVED: the program that keeps it does not answer")
    reader.press("n")
    reader.sees("advice", "Case 2 cannot be opened: the program does not answer")
    again = opened_at(room, reader.desk.folder, reader.served.port)
    reader.sees("kept", "NOT SAVED: the program was started anew")
    reader.enter(again)
    assert [contour.structure for contour in reader.saved().contours] == ["pulmonary_artery", "aortic_arch"]
    reader.sees("structures", "drawn.*drawn.*to do")


def opened_at(room: Room, folder: Path, port: int) -> Served:
    served = room.open(folder, port=port)
    if not served.link:
        raise ConfigError(f"port {port} is taken")
    return served


def test_a_server_that_dies_loses_nothing(reader: Reader, room: Room) -> None:
    absence_is_survived(reader, room)


@pytest.mark.slow
def test_a_server_killed_ten_times_in_the_midst_of_drawing_loses_nothing(reader: Reader, room: Room) -> None:
    moments, told = random.Random(3), []
    for number in range(10):
        x = 15.0 + 30 * number
        reader.click((x, 30), (x + 16, 30), (x + 8, 50))
        reader.press("Enter")
        reader.page.wait_for_timeout(moments.uniform(0, 300))
        told.append("✓ Saved" in reader.page.locator("#kept").inner_text())
        reader.served.end()
        saved = reader.desk.saved("k7")
        assert not told[-1] or (saved is not None and len(saved.contours) == number + 1)
        reader.enter(opened_at(room, reader.desk.folder, reader.served.port))
        assert len(reader.saved().contours) == number + 1
    assert {True, False} == set(told)


def test_a_case_that_is_opened_while_it_is_being_kept_is_shown_as_it_was_left(reading: Callable[..., Reader]) -> None:
    asked = "ask(`/case/${number}?pen=${keeper.pen}`).then((answer) => answer.json()),"
    late = asked[:-1] + ".then((it) => new Promise((done) => setTimeout(() => done(it), 1500))),"
    reader = reading(planted=("reading.js", asked, late))  # the answer stays away until a change made with it is kept
    reader.page.evaluate("""() => {
        dispatchEvent(new KeyboardEvent("keydown", { key: "0" }));
        document.querySelector("#cases button").click();
    }""")
    reader.sees("structures", "not seen")
    reader.saved()
    playwright.expect(reader.page.locator("#picture")).not_to_have_attribute("inert", "", timeout=PATIENCE_MS)
    reader.press("2", "0")
    assert reader.saved().not_seen == STRUCTURES[:2]


def test_what_a_full_disk_refused_is_sent_again_also_after_a_reload(reading: Callable[..., Reader]) -> None:
    reader = reading(kind="Full")
    full = reader.desk.folder / "full"
    full.touch()
    reader.page.once("dialog", lambda dialog: dialog.accept())  # it asks before it is left
    reader.press("0")
    reader.sees("kept", "NOT SAVED: the study's folder cannot be written")
    reader.press("n")
    reader.go(2)
    reader.press("4", "0")
    reader.page.reload()
    reader.go(1)
    reader.sees("kept", "NOT SAVED: the study's folder cannot be written")
    assert reader.desk.saved("k7") is reader.desk.saved("q2") is None
    full.unlink()
    assert reader.saved("k7").not_seen == ("pulmonary_artery",)
    assert reader.saved("q2").not_seen == ("trachea",)


@pytest.mark.slow
@pytest.mark.parametrize(
    "planted",
    [
        ("reading-keeper.js", 'if (answer.status === 409) return "elsewhere";', 'return "kept";'),
        (
            "reading-keeper.js",
            "if (left && (!saved || left.seconds >= saved.seconds)) return left;",
            "if (!saved) return left;",
        ),
    ],
    ids=["says kept whatever the server says", "forgets what was left over"],
)
def test_a_page_that_loses_work_is_caught(
    reading: Callable[..., Reader], room: Room, planted: tuple[str, str, str]
) -> None:
    reader = reading(planted=planted)
    reader.patience_ms = 2 * IMPATIENCE_MS
    with pytest.raises(AssertionError):
        absence_is_survived(reader, room)


def test_the_window_that_a_case_was_not_opened_in_last_says_so(reader: Reader) -> None:
    other = Reader(reader.page.context.new_page(), reader.served, reader.desk)
    other.page.goto(f"http://127.0.0.1:{reader.served.port}/")
    other.go(1)
    reader.press("0")
    reader.sees("kept", "NOT SAVED: this case was opened in another window")
    other.press("2", "0")
    assert other.saved().not_seen == ("aortic_arch",)


def test_time_counts_while_the_page_is_seen_and_its_reader_active(reading: Callable[..., Reader]) -> None:
    reader = reading(clock=True, idle_s=20)
    show = """(state) => {
        Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""

    def seconds() -> float:
        reader.press("0")
        reader.page.clock.run_for(1000)
        return reader.saved().seconds

    began = seconds()
    reader.page.clock.run_for(10_000)
    active = seconds() - began
    assert active == pytest.approx(11, abs=2)
    reader.page.clock.run_for(90_000)
    idle = seconds() - began - active
    assert idle == pytest.approx(21, abs=3)
    reader.page.evaluate(show, "hidden")
    reader.page.clock.run_for(15_000)
    reader.page.evaluate(show, "visible")
    assert seconds() - began - active - idle < 3


@pytest.mark.slow
def test_what_a_hurried_reader_does_before_a_reload_is_kept(reader: Reader) -> None:
    """No waiting for the page's word: what was done is there after a reload at once."""
    reader.page.on("dialog", lambda dialog: dialog.accept())
    for number in range(4):
        reader.click((40 + 60 * number, 40), (60 + 60 * number, 40), (50 + 60 * number, 60))
        reader.press("Enter")
        reader.page.reload()
        reader.go(1)
    assert len(reader.saved().contours) == 4


def test_the_page_and_what_it_sends_tell_of_nobody(reader: Reader) -> None:
    reader.click((40, 40))
    sent = json.dumps(json.loads((reader.desk.folder / "k7.json").read_text())) if reader.saved() else ""
    assert set(json.loads(sent)) == {"contours", "seconds", "done", "not_seen", "draft"}
    text = reader.page.locator("body").inner_text().lower()
    assert not [word for word in ("left", "right of", "patient", "weeks", "arm") if re.search(rf"\b{word}\b", text)]
