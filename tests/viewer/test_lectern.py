"""The server of the reading page: what it keeps, what it refuses, and that a kill loses nothing it called kept."""

from __future__ import annotations

import json
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from edge3vt.core.clock import NS_PER_MS, SystemClock
from edge3vt.core.errors import ArtifactError, ConfigError, DataError
from edge3vt.viewer import lectern
from edge3vt.viewer.drawing import Contour, Drawing
from edge3vt.viewer.guard import Guard, listen
from edge3vt.viewer.lectern import LIMITS, Lectern, png_size
from edge3vt.viewer.reading import Desk, serve
from tests.viewer.readers import FolderDesk, Room, Served, proposal, ring
from tests.viewer.visitor import Answer, Site, loop_thread

PEN = "window-1"
HALF = Drawing(proposal()[:2], 3.0, False, ("trachea",))
BOW = ((10.0, 10.0), (50.0, 50.0), (50.0, 10.0), (10.0, 50.0))


@dataclass
class Reader:
    """A browser that was let in."""

    site: Site
    cookie: str
    desk: Desk
    warned: list[str]

    def get(self, target: str) -> Answer:
        return self.site.ask("GET", target, {"Cookie": self.cookie})

    def post(self, target: str, body: bytes, **others: str) -> Answer:
        headers = {
            "Host": self.site.host,
            "Cookie": self.cookie,
            "Origin": f"http://{self.site.host}",
            "X-Edge3vt": "1",
            "Content-Type": "application/json",
        } | {name.replace("_", "-"): value for name, value in others.items()}
        return self.site.ask("POST", target, {name: value for name, value in headers.items() if value}, body)

    def save(self, drawing: Drawing, number: int = 0, pen: str = PEN) -> Answer:
        return self.post(f"/case/{number}", said(drawing, pen))


def said(drawing: Any, pen: str = PEN, **changes: Any) -> bytes:
    if isinstance(drawing, Drawing):
        drawing = asdict(drawing)
    return json.dumps({"pen": pen, "drawing": drawing | changes}).encode()


@contextmanager
def reading(desk: Desk) -> Iterator[Reader]:
    """A lectern in a thread, as fast as it is asked."""
    limits, warned = replace(LIMITS, requests_per_s=1e6, burst=1e6), list[str]()
    with loop_thread() as run:
        stand, guard = Lectern(desk, 20.0, warned.append), Guard(b"s" * 32, limits)
        listening = run(listen(guard.application(stand.routes()), "127.0.0.1", 0, limits))
        site = Site(guard, listening.port, [])
        try:
            yield Reader(site, site.cookie(), desk, warned)
        finally:
            run(listening.close())
            stand.close()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with reading(FolderDesk(tmp_path)) as opened:
        yield opened


def test_the_page_gets_the_study_the_case_and_its_picture(reader: Reader) -> None:
    desk = json.loads(reader.get("/desk").body)
    assert desk["title"] == "Reading of vessels, part 1"
    assert desk["idle_ms"] == 20000
    assert desk["structures"][2] == {
        "name": "superior_vena_cava",
        "label": "Superior vena cava",
        "colour": "rgb(240, 228, 66)",
    }
    assert desk["cases"] == [{"id": case, "state": ""} for case in ("k7", "q2", "x9")]
    assert json.loads(reader.get(f"/case/0?pen={PEN}").body) == {"id": "k7", "given": None, "saved": None}
    assert len(json.loads(reader.get(f"/case/1?pen={PEN}").body)["given"]) == 3
    assert json.loads(reader.get(f"/case/2?pen={PEN}").body)["given"] == []
    picture = reader.get("/picture/1")
    assert picture.headers["Content-Type"] == "image/png"
    assert png_size(picture.body) == (320, 240)
    for target, kind in (("/", "text/html"), ("/reading.js", "text/javascript"), ("/reading.css", "text/css")):
        answer = reader.get(target)
        assert (answer.status, answer.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")


def test_what_is_kept_is_there(reader: Reader) -> None:
    reader.get(f"/case/0?pen={PEN}")
    assert reader.save(HALF).status == 200
    assert reader.desk.saved("k7") == HALF
    done = Drawing(proposal(), 9.5, True)
    assert json.loads(reader.save(done).body) == {"kept": True}
    assert reader.desk.saved("k7") == done
    opened = json.loads(reader.get(f"/case/0?pen={PEN}").body)
    assert opened["saved"]["seconds"] == 9.5
    assert [case["state"] for case in json.loads(reader.get("/desk").body)["cases"]] == ["done", "", ""]


def test_only_the_window_that_opened_a_case_last_saves_it(reader: Reader) -> None:
    reader.get(f"/case/0?pen={PEN}")
    reader.get("/case/0?pen=window-2")
    assert reader.save(HALF).status == 409
    assert reader.desk.saved("k7") is None
    assert reader.save(HALF, pen="window-2").status == 200


def hostile(here: Reader) -> Iterator[tuple[str, int, Answer]]:
    """(what, the status it should get, the answer) of requests none of which may change what is kept."""
    here.get(f"/case/0?pen={PEN}")
    good, page = asdict(HALF), here.site.host
    for what, status, others in (
        ("no cookie", 403, {"Cookie": ""}),
        ("a made-up cookie", 403, {"Cookie": f"edge3vt-{here.site.port}=.nonce.mark"}),
        ("a foreign host", 421, {"Host": "evil.example"}),
        ("a host with another port", 421, {"Host": "127.0.0.1:1"}),
        ("a foreign origin", 403, {"Origin": "http://evil.example"}),
        ("no origin", 403, {"Origin": ""}),
        ("the origin null", 403, {"Origin": "null"}),
        ("our origin under https", 403, {"Origin": f"https://{page}"}),
        ("without our header", 403, {"X-Edge3vt": ""}),
        ("a form", 415, {"Content-Type": "application/x-www-form-urlencoded"}),
        ("plain text", 415, {"Content-Type": "text/plain"}),
        ("another site says the browser", 403, {"Sec-Fetch-Site": "cross-site"}),
    ):
        yield what, status, here.post("/case/0", said(good), **others)
    for number in ("3", "-1", "00", "1e0", "999999999999", "k7", "0/x", "%30", "..", "%D9%A0"):
        yield f"case {number!r}", 404, here.post(f"/case/{number}", said(good))
        yield f"picture {number!r}", 404, here.get(f"/picture/{number}")
    contour = asdict(HALF.contours[0])
    for what, changes in (
        ("another structure", {"contours": [contour | {"structure": "heart"}]}),
        ("another structure not seen", {"not_seen": ["heart"]}),
        ("a structure twice not seen", {"not_seen": ["trachea", "trachea"]}),
        ("drawn and not seen", {"not_seen": ["pulmonary_artery"]}),
        ("NaN", {"contours": [contour | {"points": [[float("nan"), 1], [2, 2], [3, 3]]}]}),
        ("infinity", {"contours": [contour | {"points": [[float("inf"), 1], [2, 2], [3, 3]]}]}),
        ("NaN seconds", {"seconds": float("nan")}),
        ("negative seconds", {"seconds": -1}),
        ("text for seconds", {"seconds": "3"}),
        ("text for a point", {"contours": [contour | {"points": [["1", 1], [2, 2], [3, 3]]}]}),
        ("three numbers for a point", {"contours": [contour | {"points": [[1, 1, 1], [2, 2], [3, 3]]}]}),
        ("two points", {"contours": [contour | {"points": [[1, 1], [2, 2]]}]}),
        ("a point outside", {"contours": [contour | {"points": [[1, 1], [2, 2], [321, 3]]}]}),
        ("a point above", {"contours": [contour | {"points": [[1, -0.5], [2, 2], [3, 3]]}]}),
        ("too many points", {"contours": [contour | {"points": [[i % 300, i % 200] for i in range(2001)]}]}),
        ("too many contours", {"contours": [contour] * 201}),
        ("an open line of no points", {"draft": {"structure": "trachea", "points": []}}),
        ("done with one missing", {"done": True}),
        ("done with a line open", {"done": True, "draft": {"structure": "aortic_arch", "points": [[1, 1]]}}),
        (
            "done and crossing",
            asdict(Drawing((*proposal()[1:], Contour("pulmonary_artery", BOW)), 1.0, False)) | {"done": True},
        ),
        ("an unknown key", {"reader": "me"}),
        ("contours missing", {"contours": None}),
    ):
        yield what, 400, here.post("/case/0", said(good, **changes))
    for what, status, body in (
        ("no body", 400, b""),
        ("no JSON", 400, b"{"),
        ("a list", 400, b"[]"),
        ("no pen", 400, json.dumps({"drawing": good}).encode()),
        ("another window's pen", 409, said(good, "window-9")),
        ("keys that stand twice", 400, said(good).replace(b'{"pen"', b'{"pen": "window-1", "pen"')),
        ("no UTF-8", 400, b"\xff\xfe" + said(good)),
        ("deep nesting", 400, b"[" * 500_000),
        ("10 MB", 413, said(good)[:-1] + b" " * 10_000_000 + b"}"),
    ):
        yield what, status, here.post("/case/0", body)
    for target in ("/drawing.py", "/assets/reading.js", "/../reading.py", "/%2e%2e/reading.py", "/case", "/picture"):
        yield target, 404, here.get(target)
    yield "a case without a pen", 400, here.get("/case/0")
    yield "a pen of other letters", 400, here.get("/case/0?pen=../../../../x")


def accepted(here: Reader) -> list[str]:
    """What was not refused as it should be, or changed what is kept."""
    found = []
    for what, status, answer in hostile(here):
        if answer.status != status or b"Traceback" in answer.body or here.desk.saved("k7") is not None:
            found.append(f"{what}: {answer.status}, expected {status}")
    return found


def test_no_hostile_request_changes_anything(reader: Reader) -> None:
    assert accepted(reader) == []
    assert reader.warned == []
    assert sum(1 for _ in hostile(reader)) >= 70
    assert reader.save(HALF).status == 200


def test_a_server_that_does_not_look_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lectern, "check", lambda *_: None)
    with reading(FolderDesk(tmp_path)) as here:
        assert any(found.startswith("another structure: 200") for found in accepted(here))


def test_a_desk_that_cannot_keep_is_told_and_tells_no_path(tmp_path: Path) -> None:
    class Full(FolderDesk):
        def save(self, case: str, drawing: Drawing) -> None:
            raise DataError(f"{self.folder}/{case}.json: cannot be written (No space left on device)")

        def picture(self, case: str) -> bytes:
            if case == "q2":
                raise FileNotFoundError(2, "No such file", str(self.folder / "q2.png"))
            return super().picture(case)

    with reading(Full(tmp_path)) as here:
        here.get(f"/case/0?pen={PEN}")
        answers = [here.save(HALF), here.get(f"/case/1?pen={PEN}"), here.get("/picture/1")]
        assert [answer.status for answer in answers] == [503] * 3
        assert not any(str(tmp_path).encode() in answer.body for answer in answers)
        assert len(here.warned) == 3
        assert "No space left" in here.warned[0]


def test_a_desk_whose_contours_do_not_fit_its_picture_is_told(tmp_path: Path) -> None:
    class Foreign(FolderDesk):
        def given(self, case: str) -> tuple[Contour, ...]:
            return (Contour("trachea", ring(319, 100)),)

    with reading(Foreign(tmp_path)) as here:
        assert here.get(f"/case/0?pen={PEN}").status == 503
        assert "lies outside the picture of 320x240" in here.warned[0]


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff" + b"0" * 30, b"\x89PNG\r\n\x1a\n" + b"0" * 30])
def test_what_is_no_png_is_refused(data: bytes) -> None:
    with pytest.raises(ArtifactError, match="is no PNG"):
        png_size(data)


def test_a_place_that_cannot_be_had_is_one_line(tmp_path: Path, reader: Reader) -> None:
    desk = FolderDesk(tmp_path)
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0: reading is served to this machine only"):
        serve(desk, host="0.0.0.0", announce=print)
    with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{reader.site.port}: cannot be served"):
        serve(desk, port=reader.site.port, announce=print)


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    opened = Room()
    yield opened
    opened.close()


class Hand:
    """Saves one drawing after another at a server, as fast as it answers; each has a second more."""

    def __init__(self, served: Served, seconds: int) -> None:
        self._address = ("127.0.0.1", served.port)
        link = urlsplit(served.link)
        connection = HTTPConnection(*self._address, timeout=20)
        connection.request("GET", f"{link.path}?{link.query}")
        answer = connection.getresponse()
        answer.read()
        self._headers = {
            "Cookie": (answer.getheader("Set-Cookie") or "").partition(";")[0],
            "Origin": f"http://127.0.0.1:{served.port}",
            "X-Edge3vt": "1",
            "Content-Type": "application/json",
        }
        connection.request("GET", f"/case/0?pen={PEN}", headers=self._headers)
        assert connection.getresponse().read()
        self._connection = connection
        self.sent = self.acknowledged = seconds
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        try:
            while self.sent < self.acknowledged + 1000:
                self.sent += 1
                drawing = Drawing(proposal(), float(self.sent), self.sent % 2 == 0)
                self._connection.request("POST", "/case/0", said(drawing), self._headers)
                answer = self._connection.getresponse()
                answer.read()
                if answer.status == 200:
                    self.acknowledged = self.sent
        except (OSError, HTTPException):
            self._connection.close()

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()


def lost(
    room: Room, folder: Path, kills: int, number: signal.Signals = signal.SIGKILL, kind: str = "FolderDesk"
) -> int:
    """How often what was acknowledged, or a whole document, was not there after a kill in the midst of saving."""
    moments, clock, seconds, failures = random.Random(1), SystemClock(), 0, 0
    for _ in range(kills):
        served = room.open(folder, kind=kind)
        hand = Hand(served, seconds)
        first = seconds
        while hand.acknowledged == first and hand._thread.is_alive():
            clock.sleep_until_ns(clock.now_ns() + NS_PER_MS)
        clock.sleep_until_ns(clock.now_ns() + round(moments.uniform(0, 60) * NS_PER_MS))
        served.end(number)
        hand.join()
        saved = FolderDesk(folder).saved("k7")
        if saved is None or not hand.acknowledged <= saved.seconds <= hand.sent or len(saved.contours) != 4:
            failures += 1
        seconds = hand.sent
    return failures


def test_what_was_acknowledged_is_there_after_a_kill_at_any_moment(room: Room, tmp_path: Path) -> None:
    assert lost(room, tmp_path, 15) == 0


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_two_hundred_kills(room: Room, tmp_path: Path) -> None:
    assert lost(room, tmp_path, 200) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_end_keeps_what_it_acknowledged(
    room: Room, tmp_path: Path, number: signal.Signals
) -> None:
    assert lost(room, tmp_path, 3, number) == 0


def test_a_desk_that_keeps_later_than_it_says_is_caught(room: Room, tmp_path: Path) -> None:
    assert lost(room, tmp_path, 4, kind="Careless") > 0
