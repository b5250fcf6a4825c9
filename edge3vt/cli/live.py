"""URIs of live sources, each opened in a process of its own: v4l2, rtsp, igtl and test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from edge3vt.core.clock import SystemClock
from edge3vt.core.documents import suggestion
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Layout, Region
from edge3vt.stream.sources import Source
from edge3vt.stream.sources.remote import RemoteSource

LIVE_SCHEMES = ("v4l2", "rtsp", "igtl", "test")
RANGES = {"full": "full", "limited": "limited"}
Reading = tuple[Callable[[str], Any], str]


def settings(uri: str, query: str, known: Mapping[str, Reading]) -> dict[str, Any]:
    """KEY=VALUE&... as values. known: how to read each key, and what it expects. Raises ConfigError."""
    values: dict[str, Any] = {}
    for key, texts in parse_qs(query, keep_blank_values=True).items():
        if key not in known:
            raise ConfigError(f"{uri}: unknown setting '{key}'{suggestion(key, known)}")
        read, expected = known[key]
        try:
            values[key] = read(texts[-1])
        except (ValueError, KeyError) as error:
            raise ConfigError(f"{uri}: {key} is '{texts[-1]}', expected {expected}") from error
    return values


def open_live(uri: str, *, rate_hz: float | None = None) -> Source:
    """The live source that ``uri`` names, kept open. Raises ConfigError for a setting, and what opening raises."""
    parts = urlsplit(uri)
    name = unquote(parts.netloc + parts.path)
    match parts.scheme:
        case "v4l2":
            return _v4l2(uri, name, parts.query, rate_hz)
        case "rtsp":
            return _rtsp(uri, parts.fragment)
        case "igtl":
            return _igtl(uri, parts.query)
        case _:
            return _test(uri, name, parts.query)


def _v4l2(uri: str, name: str, query: str, rate_hz: float | None) -> Source:
    """v4l2://NAME?width=1920&height=1080&rate=60&format=YUYV&range=limited&region=...&plus=FILE&mm_per_px=0.2"""
    from edge3vt.stream.sources.v4l2 import FORMATS, Capture, device_path, open_capture

    asked = settings(uri, query, COMMON | SIZE | {"format": _one_of({f: f for f in FORMATS}), "range": _one_of(RANGES)})
    capture = Capture(
        device=device_path(name),
        width=asked.get("width", 0),
        height=asked.get("height", 0),
        rate_hz=asked.get("rate", rate_hz or 0.0),
        pixel_format=asked.get("format", ""),
        range=asked.get("range", ""),
        **_common(asked),
    )
    return RemoteSource(partial(open_capture, capture, SystemClock()), device=capture.device)


def _rtsp(uri: str, fragment: str) -> Source:
    """rtsp://USER:PASSWORD@HOST:PORT/PATH?of=the-server#transport=udp&region=...&plus=FILE&mm_per_px=0.2"""
    from edge3vt.stream.sources.rtsp import RtspSource, without_password

    asked = settings(without_password(uri), fragment, COMMON | {"transport": _one_of({t: t for t in ("tcp", "udp")})})
    transport = asked.get("transport", "tcp")
    url = uri.partition("#")[0]
    return RemoteSource(partial(RtspSource, url, SystemClock(), transport=transport, **_common(asked)))


def _igtl(uri: str, query: str) -> Source:
    """igtl://HOST:PORT?device=NAME&region=...&plus=FILE&mm_per_px=0.2"""
    from edge3vt.stream.sources.igtl import PORT, IgtlSource

    asked = settings(uri, query, COMMON | {"device": (str, "a device's name")})
    try:
        host, port = urlsplit(uri).hostname or "127.0.0.1", urlsplit(uri).port or PORT
    except ValueError as error:
        raise ConfigError(f"{uri}: {error}; expected HOST:PORT, as in igtl://127.0.0.1:{PORT}") from error
    device = asked.get("device", "")
    return RemoteSource(partial(IgtlSource, host, port, SystemClock(), device=device, **_common(asked)))


def _test(uri: str, name: str, query: str) -> Source:
    """test://PATTERN?rate=60&width=1024&height=768&layout=nv12&range=full&seconds=10&code=ms&present=FILE&faults=..."""
    from edge3vt.stream.sources.test import Pattern, PatternSource

    known: dict[str, Reading] = {
        "layout": _one_of({layout.value: layout for layout in Layout}),
        "range": _one_of(RANGES),
        "seconds": (_positive, "a positive number"),
        "code": _one_of({code: code for code in ("frame", "ms")}),
        "present": (Path, "a path"),
        "faults": (str, "faults"),
    }
    asked = settings(uri, query, COMMON | SIZE | known)
    plain = {
        key: asked[key] for key in ("width", "height", "layout", "seconds", "code", "present", "faults") if key in asked
    }
    pattern = Pattern(
        pattern=name or "speckle",
        rate_hz=asked.get("rate", 60.0),
        full_range=asked.get("range", "full") == "full",
        **plain,
        **_common(asked),
    )
    return RemoteSource(partial(PatternSource, pattern, SystemClock()), device=pattern.present)


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def _pixels(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _region(text: str) -> Region:
    x0, y0, x1, y1 = (int(number) for number in text.split(","))
    return Region(x0, y0, x1, y1)


def _one_of(values: dict[str, Any]) -> Reading:
    return values.__getitem__, f"one of {', '.join(values)}"


COMMON: dict[str, Reading] = {
    "region": (_region, "x0,y0,x1,y1 in pixels, as in 100,80,900,700"),
    "plus": (Path, "a configuration of PLUS"),
    "mm_per_px": (_positive, "millimetres, as in 0.2"),
}
SIZE: dict[str, Reading] = {
    "width": (_pixels, "pixels, as in 1920"),
    "height": (_pixels, "pixels, as in 1080"),
    "rate": (_positive, "a positive number of Hz, as in 60"),
}


def _common(asked: dict[str, Any]) -> dict[str, Any]:
    """region and mm_per_px; the region of a PLUS configuration where none is given."""
    from edge3vt.stream.sources.plus import plus_region

    region = asked.get("region")
    if region is None and "plus" in asked:
        region = plus_region(asked["plus"])
    return {"region": region, "mm_per_px": asked.get("mm_per_px")}
