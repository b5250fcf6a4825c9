"""URIs and paths to sources and sinks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from edge3vt.cli.engines import ready_engine
from edge3vt.cli.live import LIVE_SCHEMES, Reading, open_live, settings
from edge3vt.cli.output import note
from edge3vt.clinic.dicomseg import Maker
from edge3vt.core.clock import Clock
from edge3vt.core.documents import suggestion
from edge3vt.core.errors import ConfigError
from edge3vt.engine.manifest import read
from edge3vt.engine.slots import active
from edge3vt.picture.view import SIDES, Side
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sources import Source
from edge3vt.stream.sources.rtsp import without_password

VIDEO_SUFFIXES = (".mp4", ".mov", ".mpeg", ".mpg", ".avi", ".mkv")
SOURCE_SCHEMES = ("file", "dicom", "folder", "phantom", "replay", *LIVE_SCHEMES)
SINK_SCHEMES = ("file", "folder", "display", "view", "null", "measure")


@dataclass(frozen=True, slots=True)
class _Target:
    kind: str  # a scheme, or "video"
    path: Path
    query: dict[str, str]


def open_source(uri: str, clock: Clock, *, paced: bool, rate_hz: float | None = None) -> Source:
    """The source that ``uri`` names. Raises ConfigError for an unknown kind, DataError for what cannot be read."""
    target = _parse(uri, SOURCE_SCHEMES, writing=False)
    if target.kind in LIVE_SCHEMES:
        if not paced:
            raise ConfigError(f"{uri}: a live source has no --offline; record it first, or leave --offline out")
        return open_live(uri, rate_hz=rate_hz)
    match target.kind:
        case "phantom":
            from edge3vt.stream.sources.phantom import PhantomClip, PhantomSource

            return PhantomSource(PhantomClip(**_phantom_arguments(uri, target)), clock, paced=paced)
        case "replay":
            from edge3vt.stream.sources.replay import ReplaySource

            return ReplaySource(target.path, clock, paced=paced, **_replay_arguments(uri))
        case "dicom":
            from edge3vt.stream.sources.dicom import DicomSource

            return DicomSource(target.path, clock, paced=paced)
        case "folder":
            from edge3vt.stream.sources.folder import FolderSource

            return FolderSource(target.path, clock, paced=paced, **({"rate_hz": rate_hz} if rate_hz else {}))
        case _:
            from edge3vt.stream.sources.video import VideoSource

            return VideoSource(target.path, clock, paced=paced)


def _check_settings(uri: str, target: _Target, known: tuple[str, ...]) -> None:
    for key in target.query:
        if key not in known:
            raise ConfigError(f"{uri}: unknown setting '{key}'{suggestion(key, known)}")


def open_sink(uri: str, *, overwrite: bool, block: bool, source: str | None = None, engine: Path | None = None) -> Sink:
    """The sink that ``uri`` names. block: wait for a slow sink instead of dropping (offline).

    source, engine: of the run, for what is derived from them; None for the shipped engine.
    """
    target = _parse(uri, SINK_SCHEMES, writing=True)
    match target.kind:
        case "null":
            from edge3vt.stream.sinks.null import NullSink

            return NullSink()
        case "display":
            from edge3vt.stream.sinks.screen import Places
            from edge3vt.stream.sinks.window import WindowSink

            return WindowSink(places=Places(**_display_arguments(uri, target)))
        case "view":
            from edge3vt.viewer.place import Place
            from edge3vt.viewer.sink import ViewSink

            return ViewSink(Place(**_view_arguments(uri, target)), note)
        case "folder":
            from edge3vt.stream.sinks.folder import FolderSink

            return FolderSink(target.path, overwrite=overwrite, block=block)
        case "dicomseg":
            from edge3vt.clinic.dicomsink import DicomSegSink

            return DicomSegSink(target.path, _dicom_source(uri, source), partial(_maker, engine), overwrite=overwrite)
        case "measure":
            from edge3vt.clinic.sheet import Asked, MeasureSink

            return MeasureSink(target.path, Asked(**_measure_arguments(uri)), overwrite=overwrite, block=block)
        case _:
            from edge3vt.stream.sinks.video import VideoSink

            return VideoSink(target.path, overwrite=overwrite, block=block)


def _parse(uri: str, schemes: tuple[str, ...], *, writing: bool) -> _Target:
    scheme, separator, _ = uri.partition("://")
    if separator:
        if scheme not in schemes:
            raise ConfigError(
                f"{without_password(uri)}: unknown {'sink' if writing else 'source'} scheme '{scheme}'"
                f"{suggestion(scheme, schemes)}; a path works too"
            )
        if "%00" in uri:
            raise ConfigError(f"{without_password(uri)}: holds a zero byte (%00), which no name has; remove it")
        try:
            parts = urlsplit(uri)
        except ValueError as error:
            raise ConfigError(
                f"{without_password(uri)}: no address that can be read; brackets stand only around an IPv6 host"
            ) from error
        path = Path(parts.netloc + parts.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if scheme != "file":
            return _Target(scheme, path, query)
        uri = str(path)
    path = Path(uri)
    try:
        folder = uri.endswith("/") or path.is_dir()
    except OSError as error:
        raise ConfigError(f"{uri}: no path ({error.strerror or error}); check it") from error
    if folder:
        return _Target("folder", path, {})
    if path.suffix.lower() in VIDEO_SUFFIXES and (not writing or path.suffix.lower() == ".mp4"):
        return _Target("video", path, {})
    if not writing:
        if path.suffix.lower() in (".dcm", ".dicom", ".ima", "") or not path.exists():
            return _Target("dicom", path, {})
        raise ConfigError(
            f"{uri}: no source reads '{path.suffix}' files; "
            f"expected .dcm, {', '.join(VIDEO_SUFFIXES)}, a folder/ or a URI"
        )
    if path.suffix.lower() == ".dcm":
        return _Target("dicomseg", path, {})
    if path.suffix.lower() in (".csv", ".json"):
        return _Target("measure", path, {})
    raise ConfigError(
        f"{uri}: no sink writes '{path.suffix}' files; expected .mp4, .dcm, .csv, .json, a folder ending in / or a URI"
    )


def _dicom_source(uri: str, source: str | None) -> Path:
    """The DICOM file that the masks of a run belong to."""
    if source is not None and source.partition("://")[0] not in LIVE_SCHEMES:
        target = _parse(source, SOURCE_SCHEMES, writing=False)
        if target.kind == "dicom":
            return target.path
    raise ConfigError(f"{uri}: a DICOM SEG refers to the DICOM file that it was made from; give a .dcm source")


def _maker(engine: Path | None) -> Maker:
    """Who made the masks, by the manifest of the run's engine."""
    manifest = read(active(engine or ready_engine()))
    return Maker(manifest.name, manifest.release, manifest.sha256, manifest.spec.model_id)


def _display_arguments(uri: str, target: _Target) -> dict[str, Path]:
    """display://?snapshots=FOLDER&queue=FOLDER"""
    _check_settings(uri, target, ("snapshots", "queue"))
    return {key: Path(value) for key, value in target.query.items()}


def _measure_arguments(uri: str) -> dict[str, Any]:
    """measure://FILE.csv?weeks=22.5&left=up&mm_per_px=0.12; a path alone sets nothing"""
    if "://" not in uri:
        return {}
    known: dict[str, Reading] = {
        "weeks": (float, "a gestational age in weeks, as in 22.5"),
        "left": (_side, "left, right, up or down: where on the picture the fetal left lies"),
        "mm_per_px": (float, "the edge of a pixel in mm, as in 0.12"),
    }
    return settings(uri, urlsplit(uri).query, known)


def _side(text: str) -> Side:
    return SIDES[SIDES.index(text, 1)]  # the first stands for unset


def _view_arguments(uri: str, target: _Target) -> dict[str, Any]:
    """view://HOST:PORT?lan=yes&screens=2"""
    _check_settings(uri, target, ("lan", "screens"))
    parts = urlsplit(uri)
    try:
        host, port = parts.hostname or "127.0.0.1", parts.port or 0
    except ValueError as error:
        raise ConfigError(f"{uri}: no port; expected 0 to 65535, as in view://127.0.0.1:8080") from error
    if parts.username is not None or parts.path:
        raise ConfigError(f"{uri}: expected an address and a port, as in view://127.0.0.1:8080")
    lan = target.query.get("lan", "no")
    if lan not in ("yes", "no"):
        raise ConfigError(f"{uri}: lan is '{lan}', expected yes or no")
    screens = settings(uri, parts.query, {"lan": (str, ""), "screens": (int, "a number of browsers")}).get("screens", 1)
    return {"host": host, "port": port, "lan": lan == "yes", "screens": screens}


def _replay_arguments(uri: str) -> dict[str, Any]:
    """replay://PATH?loops=0, for ever"""
    return settings(uri, urlsplit(uri).query, {"loops": (int, "a whole number, 0 for ever")})


def _phantom_arguments(uri: str, target: _Target) -> dict[str, Any]:
    """phantom://SEED?seconds=10&scenes=4&width=1024&height=768&rate=60&loops=1"""
    known: dict[str, type] = {
        "seconds": float,
        "scenes": int,
        "width": int,
        "height": int,
        "rate_hz": float,
        "loops": int,
    }
    asked = {"rate_hz" if key == "rate" else key: value for key, value in target.query.items()}
    arguments: dict[str, Any] = {}
    for key, value in ({"seed": str(target.path)} | asked).items():
        kind = int if key == "seed" else known.get(key)
        if kind is None:
            raise ConfigError(f"{uri}: unknown phantom setting '{key}'{suggestion(key, known)}")
        try:
            arguments[key] = kind(value)
        except ValueError as error:
            raise ConfigError(f"{uri}: {key} is '{value}', expected a number, as in phantom://7?seconds=10") from error
        if not arguments[key] >= 0 or (key != "seed" and not arguments[key] > 0):
            raise ConfigError(f"{uri}: {key} is {value}, expected a positive number")
    return arguments
