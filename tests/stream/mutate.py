"""Broken and hostile inputs of a run, read as a run reads them.

python -m tests.stream.mutate 10000 [HARNESS ...] [--seed N]    the long run; the checks run 300 a harness

Each ends in something sound or in one line of at most 1000 characters; in bounded time and memory. Files of pictures
(DICOM, video, LabelMe, nnU-Net, the queue as a folder to import) are in tests/data/mutate.py, engine folders and
bundles in tests/engine/mutate.py.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import av
import cv2
import numpy as np

from edge3vt.bench import findings, scenario
from edge3vt.cli import live, uris
from edge3vt.clinic import dicomseg
from edge3vt.core.anatomy import CLASS_NAMES, ClassMap
from edge3vt.core.clock import NS_PER_S, ManualClock, SystemClock
from edge3vt.core.documents import read_json, read_toml, to_json
from edge3vt.core.errors import LONGEST, DataError, Edge3vtError
from edge3vt.core.frame import Crop, Frame, Layout, Region
from edge3vt.core.machine import this_machine
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.data.dataset import MANIFEST, Item, read_dataset
from edge3vt.engine.slots import SLOTS, read_slots
from edge3vt.picture.crop import acquire, cut
from edge3vt.picture.draw import Composer
from edge3vt.stream.profile import Framing, Landmark, Profile, as_toml, chosen, read_profile
from edge3vt.stream.rows import Rows
from edge3vt.stream.sample import sample
from edge3vt.stream.sinks.encoder import H264
from edge3vt.stream.sinks.fragments import salvage
from edge3vt.stream.sinks.queue import Queue
from edge3vt.stream.slots import Slots
from edge3vt.stream.sources import igtl, replay
from edge3vt.stream.sources.plus import plus_region
from edge3vt.stream.sources.raw import shaped
from edge3vt.stream.sources.replay import read_side
from edge3vt.stream.sources.v4l2 import LAYOUTS, decoded_jpeg, jpeg_decoder
from edge3vt.stream.trace import repair
from tests.clinic.test_derived import MAKER
from tests.clinic.ultrasound import masks, source
from tests.data.mutate import mutated, texts

TIMEOUT_S = 5.0
Rng = np.random.Generator
Act = Callable[[], str | None]
"""Read it; returns what is wrong with what was made of it, None where nothing is."""


@dataclass
class Tally:
    """outcomes: accepted or refused. faults: what must never happen, one line each."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    worst_s: float = 0.0
    worst: str = ""
    grown_mib: float = 0.0

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        return (
            f"{counts}; worst {self.worst_s:.2f} s ({self.worst}); peak {self.grown_mib:.0f} MiB above the start; "
            f"{len(self.faults)} faults"
        )


class Late(BaseException):
    """Not done in time; no Exception, so that nothing swallows it."""


def trial(title: str, act: Act, tally: Tally, timeout_s: float) -> None:
    clock = SystemClock()
    started_ns, fault = clock.now_ns(), ""
    try:
        with limited(timeout_s), warnings.catch_warnings():
            warnings.simplefilter("error")
            fault = act() or ""
        outcome = "unsound" if fault else "accepted"
    except Edge3vtError as error:
        outcome, said = "refused", str(error)
        if not said.isprintable() or len(said) > LONGEST + 3:
            fault = f"says {len(said)} characters, {said.count(chr(10)) + 1} lines: {said[:200]!r}"
    except Late:
        outcome = fault = "late"
    except Exception as error:
        outcome, fault = "failed", f"{type(error).__name__}: {str(error)[:200]}"
    seconds = (clock.now_ns() - started_ns) / NS_PER_S
    if seconds > tally.worst_s:
        tally.worst_s, tally.worst = seconds, title
    tally.outcomes[outcome] += 1
    if fault:
        tally.faults.append(f"{title}: {fault}")


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise Late after so long, in the main thread."""

    def late(*_: object) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak_mib() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


# --- Texts

TOKENS = re.compile(r'"[^"\n]*"|-?\d+(?:\.\d+)?|[A-Za-z_]+|[\[\]{}<>/=:,&?#]')
HOSTILE = (
    *("0", "-1", "1", "1e308", "-1e308", "1e999", "nan", "inf", "-inf", "0.0", "1e-320", "2147483648"),
    *("9" * 20, "9" * 5000, "true", "null", '""', "[]", "{}", "[[[]]]", '"x"', "''", "0x10", "1_000", "٣"),
    *(
        '"../../etc/passwd"',
        f'"{"x" * 100_000}"',
        "x" * 100_000,
        '"\\u0000"',
        '"a\\nb"',
        "a\nb",
        "\x1b[2J",
        "\u202e",
        "é",
    ),
    *(
        "[" * 5000,
        "{" * 5000,
        "%",
        "%00",
        "//",
        "://",
        "?",
        "&&",
        "#",
        "=",
        "<!DOCTYPE a>",
        "&lt;",
        "&a;",
        "1979-05-27",
    ),
)


def reworded(text: str, rng: Rng) -> tuple[str, str]:
    """A text one of whose words is another, is missing, stands twice or has moved."""
    found = list(TOKENS.finditer(text))
    if not found:
        return "empty", text
    word = found[int(rng.integers(len(found)))]
    lines = text.split("\n")
    at = int(rng.integers(len(lines)))
    match kind := str(
        rng.choice(["word", "word", "word", "word", "drop", "swap", "line twice", "line gone", "line here"])
    ):
        case "word":
            other = HOSTILE[int(rng.integers(len(HOSTILE)))]
            return kind, text[: word.start()] + other + text[word.end() :]
        case "drop":
            return kind, text[: word.start()] + text[word.end() :]
        case "swap":
            other = found[int(rng.integers(len(found)))].group()
            return kind, text[: word.start()] + other + text[word.end() :]
        case "line twice":
            lines.insert(at, lines[at])
        case "line gone":
            del lines[at]
        case _:
            lines.insert(at, lines.pop(int(rng.integers(len(lines)))))
    return kind, "\n".join(lines)


def broken(seed: bytes, rng: Rng) -> tuple[str, bytes]:
    """(what was done, the result): a text's words or any file's bytes."""
    text = seed.decode(errors="ignore")
    if text.encode() == seed and rng.random() < 0.75:
        kind, text = reworded(text, rng)
        if rng.random() < 0.2:
            kind, text = f"{kind} twice", reworded(text, rng)[1]
        return kind, text.encode()
    return mutated(seed, rng)


@dataclass(frozen=True)
class OfFiles:
    """A harness whose inputs are files. read: of the file; returns what is wrong with what it made of it."""

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], str | None]

    def acts(self, folder: Path, rng: Rng) -> Iterator[tuple[str, Act]]:
        path = folder / self.name
        for number, data in enumerate((*self.seeds, *texts())):
            yield f"seed {number}", partial(self._act, path, data)
        while True:
            which = int(rng.integers(len(self.seeds)))
            kind, data = broken(self.seeds[which], rng)
            yield f"{kind} of seed {which}", partial(self._act, path, data)

    def _act(self, path: Path, data: bytes) -> str | None:
        path.write_bytes(data)
        return self.read(path)


# --- Documents

PROFILE = Profile(
    1, "probe A", 640, 480, (80, 20, 600, 460), 0.2, (Landmark((0, 0, 40, 30), (0, 9, 9, 9, 40, 40, 9, 0)),)
)
CLASSES = 'schema = 1\nclasses = ["background", "vessel", "nerve"]\n'
PLUS = """<PlusConfiguration version="2.1"><DataCollection><Device Type="Epiphan"><DataSources>
<DataSource Type="Video" Id="Video" ClipRectangleOrigin="40 30" ClipRectangleSize="800 600" />
</DataSources></Device></DataCollection></PlusConfiguration>
"""
SIDE = [
    {"schema": 1, "started": "2026-01-01T00:00:00+00:00", "statement": "not for diagnosis"},
    *(
        {
            **{"picture": n, "index": n, "captured_ns": 16_000_000 * n, "epoch": 0, "width": 64, "height": 48},
            **{"region": [4, 4, 60, 44], "mm_per_px": 0.2, "state": "LIVE"},
        }
        for n in range(4)
    ),
]


def profile(path: Path) -> str | None:
    read = read_profile(str(path))
    picture = np.full((480, 640), 20, np.uint8)
    frame = Frame(0, 0, picture)
    chosen([read], frame)
    placed = Framing([read]).step(frame)
    return None if placed.bounds.width >= 0 else "a region inside out"


def side(path: Path) -> str | None:
    lines = read_side(path, 4)
    if len(lines) != 4:
        return f"{len(lines)} lines"
    looped: Any = object.__new__(replay._Looped)
    looped._lines, looped.width, looped.height = lines, 64, 48
    told = [looped._told(replay.Picture(0, np.zeros((48, 64), np.uint8), Layout.GRAY), n) for n in range(4)]
    frames = [Frame(n, t.time_ns, t.pixels, region=t.region, mm_per_px=t.mm_per_px) for n, t in enumerate(told)]
    for frame in frames:
        if (fault := looked_at(frame)) is not None:
            return fault
    return None


def looked_at(frame: Frame) -> str | None:
    """What every frame of a run goes through, whatever its size and region."""
    crop = acquire(frame, 64)
    out = np.empty((64, 64), np.uint8)
    cut(frame, crop, out)
    sample(frame)
    seg = segmentation(frame, crop)
    picture = Composer(None)(seg)
    if picture.dtype != np.uint8 or picture.shape != (frame.height, frame.width, 3):
        return f"a composed picture of {picture.dtype} {picture.shape} from {frame.height}x{frame.width}"
    return None


def segmentation(frame: Frame, crop: Crop | None = None) -> Segmentation:
    mask = np.zeros((64, 64), np.uint8)
    mask[10:30, 10:40], mask[30:40, 20:30] = 1, 2
    crop = crop or acquire(frame, 64)
    return Segmentation(
        frame, mask, frame.captured_ns, crop, Verdict.ON_TIME, "", False, State.LIVE, (0.9,) * 6, True, "", "model-1"
    )


def dataset_of(path: Path) -> str | None:
    read_dataset(path.parent)
    return None


def slots_of(path: Path) -> str | None:
    return None if read_slots(path.parent).active.folder in ("a", "b") else "a slot that is none"


def documents(kind: type[Any], read: Callable[[type[Any], Path], Any], path: Path) -> str | None:
    return None if isinstance(read(kind, path), kind) else "no document"


def scenarios() -> bytes:
    found = sorted(Path("benchmarks/scenarios").glob("*.toml"))
    return found[0].read_bytes() if found else b'name = "a"\n'


def drill_record() -> bytes:
    found = findings.Finding("killed", "P7", "recordings that play", 50.0, 50.0, least=True)
    return to_json(findings.Record(1, "0.1.0", "2026-01-01", "edge3vt drill", this_machine(), True, (found,))).encode()


def data_set() -> bytes:
    item = Item("a", "0" * 64, "1" * 64, "p", "some", 64, 48, 0.2, ("vessel",), "train", None, None, {})
    document = {"schema": 1, "name": "some", "classes": ["background", "vessel"], "items": [item]}
    return to_json(document).encode()


# --- Recordings, rows and traces that a kill or a disk left


@cache
def recording() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        video = H264(Path(folder) / "a.mp4", "not for diagnosis")
        for n in range(30):
            video(np.full((48, 64, 3), 8 * n, np.uint8), n * NS_PER_S // 10)
        video.finish()
        return (Path(folder) / "a.mp4").read_bytes()


def salvaged(path: Path) -> str | None:
    size = path.stat().st_size
    kept = salvage(path, path.with_name("out.mp4"))
    try:
        if path.exists():
            return "the partial recording is still there"
        return "it grew" if kept is not None and kept.stat().st_size > size else None
    finally:
        for left in path.parent.glob("out.*"):
            left.unlink()


def appended(path: Path) -> str | None:
    rows = Rows(path, max_bytes=1 << 20)
    rows.write({"a": 1})
    rows.close()
    last = path.read_bytes().rstrip(b"\n").rsplit(b"\n", 1)[-1]
    for file in path.parent.glob("rows.*.jsonl"):
        file.unlink()
    return None if json.loads(last) == {"a": 1} else f"the last line is {last[:50]!r}"


def repaired(path: Path) -> str | None:
    repair(path)
    return None if path.read_bytes().endswith(b"]\n") else "no closing bracket"


TRACE = b'[\n{"name": "process_name", "ph": "M"},\n{"name": "mask", "ph": "X", "ts": 1.0},\n]\n'


# --- The archive's objects


@cache
def seg_object() -> tuple[bytes, bytes]:
    """A SEG, and its source."""
    with tempfile.TemporaryDirectory() as folder:
        clip, path = source(Path(folder) / "clip.dcm"), Path(folder) / "seg.dcm"
        dicomseg.write(path, clip, CLASS_NAMES, masks(), MAKER)
        return path.read_bytes(), clip.read_bytes()


def seg_read(path: Path) -> str | None:
    clip = path.with_name("clip.dcm")
    if not clip.exists():
        clip.write_bytes(seg_object()[1])
    found = dicomseg.read(path, clip)
    same = all(i == j and np.array_equal(a, b) for (i, a), (j, b) in zip(found.masks(), masks(), strict=True))
    return None if same else "other masks than were written"


# --- Pictures as cards and networks give them


class OfPictures:
    """Buffers of every format in any size, stride and length, and what a run does with the frames."""

    def acts(self, folder: Path, rng: Rng) -> Iterator[tuple[str, Act]]:
        jpegs = [encoded_jpeg(size, option) for size in ((48, 64), (33, 47), (1, 1), (8, 4096)) for option in range(3)]
        decoder = jpeg_decoder()
        for number, data in enumerate(jpegs):
            yield f"jpeg {number}", partial(self._jpeg, decoder, data)
        names = list(LAYOUTS)
        while True:
            if rng.random() < 0.3:
                which = int(rng.integers(len(jpegs)))
                kind, data = mutated(jpegs[which], rng)
                yield f"{kind} of jpeg {which}", partial(self._jpeg, decoder, data)
                continue
            name = names[int(rng.integers(len(names)))]
            width, height = (int(rng.choice([1, 2, 3, 7, 8, 15, 64, 101, 641])) for _ in range(2))
            stride = int(rng.choice([0, 0, width, 2 * width, 4 * width + 5, 1, -3, 2**31]))
            size = max(int(width * height * rng.choice([0, 0.9, 1, 1.5, 2, 3, 4])) + int(rng.integers(-2, 9)), 0)
            box = [int(rng.integers(-20, 700)) for _ in range(4)]
            region = None if rng.random() < 0.4 else Region(*box)
            title = f"{name} {width}x{height}, stride {stride}, {size} bytes, region {region}"
            yield title, partial(self._raw, rng.bytes(size), name, width, height, stride, region)

    def _raw(self, data: bytes, name: str, width: int, height: int, stride: int, region: Region | None) -> str | None:
        layout = LAYOUTS[name]
        pixels = shaped(data, layout, width, height, stride)
        return looked_at(Frame(0, 0, pixels, layout, full_range=len(data) % 2 == 0, region=region))

    def _jpeg(self, decoder: Any, data: bytes) -> str | None:
        pixels, layout, full = decoded_jpeg(decoder, data)
        if max(pixels.shape[:2]) > 8192:
            return f"a picture of {pixels.shape}"
        return looked_at(Frame(0, 0, pixels, layout, full_range=full))


def encoded_jpeg(size: tuple[int, int], option: int) -> bytes:
    pixels = np.random.default_rng(option).integers(0, 256, (*size, 3), dtype=np.uint8)
    pixels = np.asarray(cv2.GaussianBlur(pixels, (5, 5), 2))
    kinds = [(cv2.IMWRITE_JPEG_QUALITY, 90), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)]
    return bytes(cv2.imencode(".jpg", pixels if option else pixels[..., 0], kinds[option])[1])


class OfIgtl:
    """Streams of OpenIGTLink, some of whose bytes are others; the server hangs up at their end."""

    def acts(self, folder: Path, rng: Rng) -> Iterator[tuple[str, Act]]:
        from pyigtl import ImageMessage, TransformMessage

        shapes = (1, 30, 40), (1, 30, 40, 3), (1, 1, 1), (2, 6, 5), (1, 7, 9, 4)
        images = [np.full(shape, 60, np.uint8) for shape in shapes]
        images += [np.zeros((1, 6, 5), np.int16), np.zeros((1, 6, 5), np.float32)]
        matrix = np.diag([0.2, 0.2, 1.0, 1.0])
        messages = [ImageMessage(image, device_name="US", ijk_to_world_matrix=matrix) for image in images]
        packed = [
            bytes(m.pack() or m.binary_message) for m in (*messages, TransformMessage(np.eye(4), device_name="P"))
        ]
        yield "whole", partial(self._act, packed[0] * 3)
        while True:
            chosen = [packed[int(rng.integers(len(packed)))] for _ in range(int(rng.integers(1, 5)))]
            which = int(rng.integers(len(chosen)))
            message = bytearray(chosen[which])
            kind = str(rng.choice(["head", "image head", "any", "any"]))
            if kind == "any":
                kind, data = mutated(bytes(message), rng)
            else:
                first, last = (0, 58) if kind == "head" else (58, 58 + 12 + 72)
                for _ in range(int(rng.integers(1, 4))):
                    at = int(rng.integers(first, min(last, len(message))))
                    message[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))]))
                data = bytes(message)
            chosen[which] = data
            yield f"{kind} of message {which} of {len(chosen)}", partial(self._act, b"".join(chosen))

    def _act(self, data: bytes) -> str | None:
        ours, theirs = socket.socketpair()

        def serve() -> None:
            with suppress(OSError), theirs:
                theirs.sendall(data)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        try:
            with mock.patch.object(igtl.socket, "create_connection", return_value=ours):
                found = igtl.IgtlSource("host", 18944, SystemClock())
            try:
                for frame in found:
                    if (fault := looked_at(frame)) is not None:
                        return fault
            except DataError as error:
                if not str(error).endswith("the server hung up"):
                    raise
            return None
        finally:
            ours.close()
            server.join()


class OfMemory:
    """Shared memory that another process has written over: a record is what was put, or none."""

    def acts(self, folder: Path, rng: Rng) -> Iterator[tuple[str, Act]]:
        number = 0
        while True:
            number += 1
            yield f"memory {number}", partial(self._act, int(rng.integers(2**31)))

    def _act(self, seed: int) -> str | None:
        rng = np.random.default_rng(seed)
        slots = Slots.create(3, 500, check_bodies=True)
        try:
            put = {bytes([n]) * (n + 1): np.full(10 * n + 1, n, np.uint8) for n in range(int(rng.integers(1, 5)))}
            for head, body in put.items():
                slots.put(head, body)
            view = np.frombuffer(slots._bytes, np.uint8)
            for _ in range(int(rng.integers(0, 20))):
                start = int(rng.choice([0, 4096, 4096 * 2, 4096 * 3, 4096 * 5]))
                view[min(start + int(rng.integers(64)), len(view) - 1)] = int(rng.choice([0, 1, 2, 255]))
            del view
            found, lost = slots.take()
            if len(found) > 3 or any(head not in put or not np.array_equal(body, put[head]) for head, body in found):
                return "a record that was never put"
            return None if lost >= 0 else f"{lost} lost"
        finally:
            slots.close()


# --- URIs


class Unopened:
    """Stands for what a URI would open: a process, a window, a file."""

    def __init__(self, *_: object, **__: object) -> None: ...


SOURCES = (
    *("phantom://7?seconds=10&scenes=4&width=1024&height=768&rate=60&loops=1", "replay://a.mp4?loops=0", "clip.dcm"),
    *("v4l2://cam?width=1920&height=1080&rate=60&format=YUYV&range=limited&region=1,2,300,400&mm_per_px=0.2", "clips/"),
    *("rtsp://me:secret@host:554/path?x=1#transport=udp&region=1,2,300,400", "igtl://host:18944?device=US&plus=a.xml"),
    *("test://speckle?rate=60&width=640&height=480&layout=nv12&range=full&seconds=10&code=ms", "file://a.mp4"),
)
SINKS = ("out.mp4", "out/", "display://?snapshots=a&queue=b", "null://", "seg.dcm", "file://out.mp4", "measure://a.csv")


class OfUris:
    """Sources and sinks as words of a command line; nothing is opened."""

    def acts(self, folder: Path, rng: Rng) -> Iterator[tuple[str, Act]]:
        for uri in (*SOURCES, *SINKS):
            yield uri, partial(self._act, folder, uri, writing=uri in SINKS)
        while True:
            writing = rng.random() < 0.25
            seeds = SINKS if writing else SOURCES
            seed = seeds[int(rng.integers(len(seeds)))].encode()
            kind, data = broken(seed, rng)
            text = os.fsdecode(data.replace(b"\0", b""))  # no command line holds a zero byte
            yield f"{kind}: {text[:60]!r}", partial(self._act, folder, text, writing=writing)

    def _act(self, folder: Path, uri: str, *, writing: bool) -> str | None:
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(live, "RemoteSource", Unopened))
            for place in ("sources.phantom.PhantomClip", "sources.phantom.PhantomSource"):
                stack.enter_context(mock.patch(f"edge3vt.stream.{place}", Unopened))
            for place in ("video.VideoSink", "window.WindowSink", "folder.FolderSink"):
                stack.enter_context(mock.patch(f"edge3vt.stream.sinks.{place}", Unopened))
            here = os.getcwd()
            os.chdir(folder)
            try:
                if writing:
                    uris.open_sink(uri, overwrite=False, block=True, source="clip.mp4")
                else:
                    uris.open_source(uri, ManualClock(), paced=True)
            except Edge3vtError as error:
                if "://" in uri and uri.count("secret@") == 1 and "secret@" in str(error):
                    return f"tells the password: {error}"
                raise
            finally:
                os.chdir(here)
        return None


# --- The queue of "mask wrong"


class OfQueue:
    """A queue's folder that holds what somebody else put there."""

    def acts(self, folder: Path, rng: Rng) -> Iterator[tuple[str, Act]]:
        number = 0
        while True:
            number += 1
            kind = str(rng.choice(["file", "folder as class map", "file as item", "link", "deep", "closed", "record"]))
            yield f"{kind} {number}", partial(self._act, folder / str(number), kind, number)

    def _act(self, folder: Path, kind: str, number: int) -> str | None:
        queue, frame = Queue(folder), Frame(number, 0, np.zeros((48, 64), np.uint8), region=Region(4, 4, 60, 44))
        item = folder / queue._run / f"0-{number:06d}"
        match kind:
            case "file":
                folder.write_bytes(b"x")
            case "folder as class map":
                (folder / "classes.toml").mkdir(parents=True)
            case "file as item":
                item.parent.mkdir(parents=True)
                item.write_bytes(b"x")
            case "link":
                item.parent.mkdir(parents=True)
                item.symlink_to(folder / "nowhere")
            case "deep":
                (folder / "a" / ".b.part" / "c").mkdir(parents=True)
                (folder / "a" / ".d.part").write_bytes(b"x")
            case "closed":
                folder.mkdir(mode=0o500)
            case _:
                (folder / "a" / "b" / "record.json").mkdir(parents=True)
        try:
            with mock.patch("os.fsync"):  # a disk's patience is not what is tried here
                said = queue.add(segmentation(frame))
        except OSError:  # the window says it in its own words
            return None
        left = [path.name for path in folder.rglob(".*.part")] if kind != "deep" else []
        return f"left {left}" if left else (None if said and "\n" not in said else f"says {said!r}")


def harness(name: str) -> Any:
    match name:
        case "profile":
            return OfFiles("a.toml", (as_toml(PROFILE).encode(),), profile)
        case "classes":
            return OfFiles("a.toml", (CLASSES.encode(),), partial(documents, ClassMap, read_toml))
        case "scenario":
            return OfFiles("a.toml", (scenarios(),), partial(documents, scenario.Scenario, read_toml))
        case "record":
            return OfFiles("a.json", (drill_record(),), partial(documents, findings.Record, read_json))
        case "dataset":
            return OfFiles(MANIFEST, (data_set(),), dataset_of)
        case "slots":
            active = {"schema": 1, "active": {"folder": "a", "manifest_sha256": "0" * 64}, "previous": None}
            return OfFiles(SLOTS, (to_json(active).encode(),), slots_of)
        case "plus":
            return OfFiles("a.xml", (PLUS.encode(),), lambda path: plus_region(path) and None)
        case "side":
            return OfFiles("a.jsonl", ("".join(to_json(line, indent=None) for line in SIDE).encode(),), side)
        case "salvage":
            return OfFiles("out.1.recording.mp4", (recording(),), salvaged)
        case "rows":
            return OfFiles("rows.jsonl", (b'{"a": 1}\n{"b": 2}\n',), appended)
        case "trace":
            return OfFiles("trace.json", (TRACE,), repaired)
        case "seg":
            return OfFiles("seg.dcm", (seg_object()[0],), seg_read)
        case "pictures":
            return OfPictures()
        case "igtl":
            return OfIgtl()
        case "memory":
            return OfMemory()
        case "uri":
            return OfUris()
        case "queue":
            return OfQueue()
    raise ValueError(f"no harness {name}; known: {', '.join(NAMES)}")


NAMES = (
    *(
        "profile",
        "classes",
        "scenario",
        "record",
        "dataset",
        "slots",
        "plus",
        "side",
        "salvage",
        "rows",
        "trace",
        "seg",
    ),
    *("pictures", "igtl", "memory", "uri", "queue"),
)


def run(name_or_harness: Any, count: int, *, seed: int = 0, timeout_s: float = TIMEOUT_S) -> Tally:
    """``count`` inputs through one harness."""
    found = harness(name_or_harness) if isinstance(name_or_harness, str) else name_or_harness
    tally, rng, start = Tally(), np.random.default_rng(seed), peak_mib()
    with tempfile.TemporaryDirectory() as folder:
        for title, act in islice(found.acts(Path(folder), rng), count):
            trial(title, act, tally, timeout_s)
    tally.grown_mib = peak_mib() - start
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("harnesses", nargs="*", default=NAMES)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    av.logging.set_level(None)
    faults = 0
    for name in options.harnesses:
        tally = run(name, options.count, seed=options.seed)
        faults += len(tally.faults)
        print(f"{name}: {tally}", *tally.faults[:20], sep="\n  ", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
