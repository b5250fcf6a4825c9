"""Pages as they ship: files written by hand, read once, served as they are."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from aiohttp import web

KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def asset(name: str) -> bytes:
    """A file of ``viewer/assets``."""
    return (files("edge3vt.viewer") / "assets" / name).read_bytes()


def pages(front: str, others: Iterable[str]) -> list[web.RouteDef]:
    """Routes to files of ``viewer/assets``: ``front`` at ``/``, each of ``others`` at its name."""
    return [_route("/", front), *(_route(f"/{name}", name) for name in others)]


def _route(path: str, name: str) -> web.RouteDef:
    body, kind = asset(name), KINDS[name[name.rindex(".") :]]

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=kind, charset="utf-8")

    return web.get(path, answer, allow_head=False)
