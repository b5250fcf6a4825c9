"""The server of the reading page: hands out one desk's cases and keeps what comes back."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.documents import parse_json, to_json
from edge3vt.core.errors import ArtifactError, ConfigError, DataError, Edge3vtError
from edge3vt.picture.outline import colour_of
from edge3vt.viewer.drawing import Drawing, check
from edge3vt.viewer.guard import Guard, listen
from edge3vt.viewer.reading import Desk
from edge3vt.viewer.rules import Limits, is_loopback

ASSETS = Path(__file__).parent / "assets"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
LIMITS = Limits(body_bytes=1 << 20)
_PEN = re.compile(r"[A-Za-z0-9-]{8,64}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sent:
    """What the page sends after a change. pen: which window it comes from."""

    pen: str
    drawing: Drawing


class Lectern:
    """The routes of one desk. Only the window that opened a case last may save it, so that none overwrites another.

    Every call of the desk runs in one thread, in the order of the requests. warn: takes what the desk refused, one
    line each; the page is told only that it did.
    """

    def __init__(self, desk: Desk, idle_s: float, warn: Callable[[str], None]) -> None:
        self._desk, self._idle_s, self._warn = desk, idle_s, warn
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="desk")
        self._pens: dict[str, str] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._cases = desk.cases

    def routes(self) -> list[web.RouteDef]:
        files = [path for path in sorted(ASSETS.glob("reading*")) if path.suffix in KINDS]
        return [
            *(web.get("/" if path.suffix == ".html" else f"/{path.name}", _file(path)) for path in files),
            web.get("/desk", self._overview),
            web.get("/picture/{number}", self._picture),
            web.get("/case/{number}", self._open),
            web.post("/case/{number}", self._save),
        ]

    def close(self) -> None:
        """Let what the desk is doing end."""
        self._thread.shutdown(wait=True)

    async def _overview(self, request: web.Request) -> web.Response:
        def look() -> dict[str, Any]:
            return {
                "title": self._desk.title,
                "idle_ms": round(1000 * self._idle_s),
                "structures": [_described(name, i) for i, name in enumerate(self._desk.structures)],
                "cases": [{"id": case, "state": _state(self._desk.saved(case))} for case in self._cases],
            }

        return _json(await self._asked(look))

    async def _picture(self, request: web.Request) -> web.Response:
        case = self._case(request)
        return web.Response(body=await self._asked(lambda: self._desk.picture(case)), content_type="image/png")

    async def _open(self, request: web.Request) -> web.Response:
        case, pen = self._case(request), request.query.get("pen", "")
        if not _PEN.fullmatch(pen):
            raise web.HTTPBadRequest(text="a case is opened with a pen")

        def look() -> dict[str, Any]:
            given, saved = self._desk.given(case), self._desk.saved(case)
            for drawing in (Drawing(given or (), 0.0, False), saved):
                if drawing is not None:
                    check(drawing, self._desk.structures, *self._size(case))
            self._pens[case] = pen
            return {
                "id": case,
                "given": None if given is None else [asdict(contour) for contour in given],
                "saved": None if saved is None else asdict(saved),
            }

        return _json(await self._asked(look))

    async def _save(self, request: web.Request) -> web.Response:
        case, body = self._case(request), await request.read()

        def keep() -> tuple[int, str]:
            try:
                sent = parse_json(Sent, body.decode(), where="the drawing")
                check(sent.drawing, self._desk.structures, *self._size(case))
            except (ConfigError, DataError, UnicodeDecodeError) as error:
                return 400, str(error)
            if sent.pen != self._pens.get(case):
                return 409, "this case was opened in another window"
            self._desk.save(case, sent.drawing)
            return 200, ""

        status, error = await self._asked(keep)
        return _json({"error": error} if error else {"kept": True}, status)

    def _size(self, case: str) -> tuple[int, int]:
        if case not in self._sizes:
            self._sizes[case] = png_size(self._desk.picture(case))
        return self._sizes[case]

    def _case(self, request: web.Request) -> str:
        number = request.match_info["number"]
        if re.fullmatch(r"0|[1-9][0-9]{0,5}", number) and int(number) < len(self._cases):
            return self._cases[int(number)]
        raise web.HTTPNotFound(text="no such case")

    async def _asked(self, question: Callable[[], T]) -> T:
        """The desk's answer; it is asked to the end even where nobody waits for it any more."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, question)
        except (Edge3vtError, OSError) as error:
            self._warn(str(error))
            raise web.HTTPServiceUnavailable(
                text="the study's folder does not answer; see where it was started"
            ) from error


async def attend(
    desk: Desk,
    host: str,
    port: int,
    *,
    secret: bytes,
    idle_s: float,
    announce: Callable[[str], None],
    warn: Callable[[str], None],
    ended: asyncio.Event,
) -> None:
    """Serve until ``ended`` is set, then until the desk has kept what it was sent. Raises ConfigError."""
    if not is_loopback(host):
        raise ConfigError(f"{host}: reading is served to this machine only; expected 127.0.0.1, ::1 or localhost")
    lectern, guard = Lectern(desk, idle_s, warn), Guard(secret, LIMITS)
    try:
        listening = await listen(guard.application(lectern.routes()), host, port, LIMITS)
    except OSError as error:
        lectern.close()
        raise ConfigError(
            f"{host}:{port}: cannot be served ({error.strerror or error}); choose another port"
        ) from error
    try:
        name = f"[{host}]" if ":" in host else host
        announce(f"http://{name}:{listening.port}/enter?token={guard.invite()}")
        await ended.wait()
    finally:
        await listening.close()
        lectern.close()


def png_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a PNG, from its header (PNG 3rd edition, 11.2.1). Raises ArtifactError."""
    if len(data) < 24 or not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR":
        raise ArtifactError("a picture of the study is no PNG; restore it from where it was made")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _described(name: str, index: int) -> dict[str, str]:
    """A structure as the page shows it, in the colour that the overlay has for it."""
    label = CLASS_NAMES.index(name) if name in CLASS_NAMES else index + 1
    words = name.replace("_", " ")
    return {"name": name, "label": words[:1].upper() + words[1:], "colour": f"rgb{colour_of(label)}"}


def _state(saved: Drawing | None) -> str:
    if saved is None:
        return ""
    return "done" if saved.done else "begun" if saved.contours or saved.not_seen or saved.draft else ""


def _file(path: Path) -> Callable[[web.Request], Any]:
    body = path.read_bytes()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=KINDS[path.suffix], charset="utf-8")

    return answer


def _json(document: Any, status: int = 200) -> web.Response:
    return web.Response(text=to_json(document, indent=None), content_type="application/json", status=status)
