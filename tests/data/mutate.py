"""Mutated files of every format, read as an import reads them.

python -m tests.data.mutate 10000 [FORMAT ...] [--seed N]    the long run; the checks run a few hundred a format
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import shutil
import struct
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.decoder import Decoder
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.raw import Raw
from edge3vt.picture.clip import MAX_SIDE_PX
from edge3vt.picture.images import read_image
from edge3vt.picture.video import open_video

TIMEOUT_S = 5.0
PAIR_LABELS = LabelMap(1, ("background", "a", "b"), {"#000001": "a", "#000002": "b", "#010101": "a", "#020202": "b"})
SECRET = "CANARY^JANE"  # the patient of every DICOM seed

Source = dict[str, bytes]  # a user's folder: relative path -> content


@dataclass(frozen=True)
class Format:
    """Whole sources and bombs; find and read as an importer has them."""

    seeds: Callable[[], Iterable[Source]]
    bombs: Callable[[], Iterable[Source]]
    find: Callable[[Path], Any]
    read: Callable[[Any], Any]


@dataclass
class Tally:
    """outcomes: how often an import accepted a job or why not. faults: what must never happen, one line each."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    worst_s: float = 0.0
    worst: str = ""
    peak_mib: float = 0.0

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        return (
            f"{counts}; worst {self.worst_s:.2f} s ({self.worst}); peak of a child {self.peak_mib:.0f} MiB; "
            f"{len(self.faults)} faults"
        )


# --- Whole sources


def noise(height: int = 60, width: int = 80, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Blurred noise, so that it compresses a little, as a picture does."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(pixels, (5, 5), 1.5), np.uint8)


def labels(height: int = 60, width: int = 80) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[10:30, 10:40], mask[35:50, 30:70] = 1, 2
    return mask


def encoded(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
    return bytes(cv2.imencode(suffix, pixels, options)[1])


def pictures() -> list[bytes]:
    alpha = np.dstack((noise(channels=3), labels()))
    deep = noise().astype(np.uint16) * 257
    return [
        *(encoded(".png", p) for p in (noise(), noise(channels=3), alpha, deep, labels())),
        encoded(".png", 255 * (labels() > 0).astype(np.uint8), cv2.IMWRITE_PNG_BILEVEL, 1),
        encoded(".jpg", noise()),
        encoded(".jpg", noise(channels=3), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    ]


def native(pixels: np.ndarray, **elements: Any) -> Dataset:
    """(N, H, W) or (N, H, W, 3) pixels as a cine with a name, a rate and a region."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3"
    ds.Modality, ds.PatientName, ds.PatientID, ds.FrameTime = "US", SECRET, SECRET, "40"
    ds.InstitutionName = ds.StudyDescription = ds.OperatorsName = SECRET
    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 4
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = pixels.shape[2] - 5, pixels.shape[1] - 5
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.02
    ds.SequenceOfUltrasoundRegions = [region]
    ds.NumberOfFrames, ds.Rows, ds.Columns = pixels.shape[:3]
    ds.SamplesPerPixel, ds.PixelRepresentation = 3 if pixels.ndim == 4 else 1, 0
    if pixels.ndim == 4:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = "RGB" if pixels.ndim == 4 else "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for name, value in elements.items():
        setattr(ds, name, value)
    return ds


def written(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def packed(ds: Dataset, syntax: Any) -> Dataset:
    ds.compress(syntax, generate_instance_uid=False)
    return ds


def dicoms() -> list[Source]:
    grey, colour = np.stack([noise(seed=n) for n in range(3)]), noise(channels=3)[None]
    deep = native(grey.astype(np.uint16) << 4, WindowCenter="2048", WindowWidth="4096")
    deflated = native(grey)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    made = [native(grey), native(colour), deep, deflated]
    made += [packed(native(pixels), RLELossless) for pixels in (grey, colour)]
    names = (  # JPEG, JPEG 2000, big endian, YBR_FULL_422, implicit VR
        "SC_rgb_jpeg_dcmtk.dcm SC_rgb_dcmtk_+eb+cy+np.dcm SC_rgb_gdcm_KY.dcm ExplVR_BigEnd.dcm "
        "SC_ybr_full_422_uncompressed.dcm SC_rgb_jpeg_dcmd.dcm examples_palette.dcm"
    )
    for name in names.split():
        ds = dcmread(str(get_testdata_file(name, download=False)))
        ds.PatientName = ds.PatientID = SECRET
        made.append(ds)
    return [{"clip.dcm": written(ds)} for ds in made]


def videos() -> list[Source]:
    found = []
    for suffix, codec, pixel_format in (
        (".mp4", "libx264", "yuv420p"),
        (".mkv", "libx264", "yuv420p"),
        (".avi", "mjpeg", "yuvj420p"),
        (".mpg", "mpeg2video", "yuv420p"),
        (".mov", "mpeg4", "yuv420p"),
    ):
        with tempfile.NamedTemporaryFile(suffix=suffix) as file:
            with av.open(file.name, "w") as container:
                stream: Any = container.add_stream(codec, rate=25)
                stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
                for n in range(12):
                    frame = av.VideoFrame.from_ndarray(noise(64, 96, 3, seed=n), format="rgb24")
                    container.mux(stream.encode(frame))
                container.mux(stream.encode(None))
            found.append({f"clip{suffix}": Path(file.name).read_bytes()})
    return found


def label_me(**changes: Any) -> Source:
    png = encoded(".png", noise())
    square = [[10, 10], [40, 10], [40.5, 30.25], [10, 30]]
    document = {
        "version": "5.4.1",
        "flags": {},
        "shapes": [
            {"label": "vessel", "points": square, "group_id": None, "shape_type": "polygon", "flags": {}},
            {"label": "nerve", "points": [[50, 40], [70, 55]], "shape_type": "rectangle", "flags": {}},
        ],
        "imagePath": "a.png",
        "imageData": base64.b64encode(png).decode(),
        "imageHeight": 60,
        "imageWidth": 80,
    }
    return {"a.png": png, "a.json": json.dumps({**document, **changes}).encode()}


def nnu_net(**changes: Any) -> Source:
    document = {
        "channel_names": {"0": "ultrasound"},
        "labels": {"background": 0, "nerve": 1, "vessel": 2},
        "numTraining": 2,
        "file_ending": ".png",
    }
    return {
        "dataset.json": json.dumps({**document, **changes}).encode(),
        **{f"imagesTr/case_{n:03}_0000.png": encoded(".png", noise(seed=n)) for n in range(2)},
        **{f"labelsTr/case_{n:03}.png": encoded(".png", labels()) for n in range(2)},
    }


def pair(picture: bytes, mask: bytes) -> Source:
    return {"images/a.png": picture, "masks/a.png": mask}


def pairs() -> list[Source]:
    palette = Image.fromarray(labels()).convert("P")
    palette.putdata(labels().ravel().tolist())
    palette.putpalette([0, 0, 0, 0, 0, 1, 0, 0, 2])
    palette.save(buffer := io.BytesIO(), "PNG")
    colours = encoded(".png", labels()[..., None] * np.array([1, 0, 0], np.uint8))
    return [pair(encoded(".png", noise()), mask) for mask in (encoded(".png", labels()), buffer.getvalue(), colours)]


# --- Bombs: small files that claim or hold much


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def claiming_png(width: int, height: int, depth: int = 8, kind: int = 2, body: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", body or zlib.compress(bytes(1000))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def zeros(count: int) -> bytes:
    """``count`` zeros in the form of zlib, without ever holding them."""
    packer, left, parts = zlib.compressobj(9), count, []
    while left > 0:
        parts.append(packer.compress(bytes(min(left, 1 << 20))))
        left -= 1 << 20
    return b"".join([*parts, packer.flush()])


def picture_bombs() -> list[bytes]:
    side = MAX_SIDE_PX
    text = chunk(b"zTXt", b"k\0\0" + zeros(64 << 20))
    plain = encoded(".png", noise())
    jpeg = bytearray(encoded(".jpg", noise()))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    allowed = jpeg.copy()
    allowed[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return [
        claiming_png(60_000, 60_000),
        claiming_png(2**31 - 1, 2**31 - 1),
        claiming_png(0, 10),
        claiming_png(side, side),  # all but empty
        claiming_png(side, side, 16, 6, zeros(side * (8 * side + 1))),  # 512 MiB of 16-bit RGBA
        claiming_png(side, side, 8, 2, zeros(side * (3 * side + 1))),
        claiming_png(100, 100, 8, 2, zeros(64 << 20)),  # more pixels than it says
        plain[:33] + text * 3 + plain[33:],
        bytes(jpeg),
        bytes(allowed),
        encoded(".jpg", np.zeros((side, side), np.uint8)),
        encoded(".jpg", np.zeros((side, side, 3), np.uint8), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    ]


def pair_bombs() -> Iterator[Source]:
    for data in picture_bombs():
        yield pair(data, encoded(".png", labels()))
        yield pair(encoded(".png", noise()), data)


def dicom_bombs() -> Iterator[Source]:
    yield from ({"clip.dcm": data} for data in dicom_files())


def dicom_files() -> Iterator[bytes]:
    side, grey = MAX_SIDE_PX, noise()[None]
    large = np.zeros((1, side, side), np.uint8)
    for claim in (
        {"NumberOfFrames": 2**31 - 1},
        {"NumberOfFrames": 20_000},
        {"NumberOfFrames": -1},
        {"Rows": 65_535, "Columns": 65_535},
        {"Rows": side, "Columns": side},
        {"BitsAllocated": 65_528},
        {"SamplesPerPixel": 60_000},
        {"FrameTimeVector": ["1"] * 15_000},
        {"WindowWidth": "1e308", "WindowCenter": "-1e308"},
    ):
        yield written(native(grey, **claim))
    swelling = native(grey)
    swelling.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    head = meta(written(swelling))
    for body in (zeros(700 << 20)[2:-4], zeros(200 << 20)[2:-4], b"\xff" * 999):  # raw deflate, as DICOM has it
        yield head + body
    runs = packed(native(grey), RLELossless)
    runs.Rows = runs.Columns = side
    yield written(runs)
    yield written(packed(native(large), RLELossless))
    many = packed(native(large[:, :2048, :2048]), RLELossless)
    (frame,) = generate_frames(many.PixelData, number_of_frames=1)
    many.NumberOfFrames, many.PixelData = 80, encapsulate([frame] * 80)  # 320 MiB of pictures
    yield written(many)
    wavelets = dcmread(str(get_testdata_file("SC_rgb_gdcm_KY.dcm", download=False)))
    data = wavelets.PixelData
    at = data.index(b"\xff\x51") + 6  # SIZ: the size of the picture
    wavelets.PixelData = data[:at] + struct.pack(">II", 60_000, 60_000) + data[at + 8 :]
    yield written(wavelets)
    wavelets.PixelData = data[:at] + struct.pack(">II", side, side) + data[at + 8 :]
    wavelets.Rows = wavelets.Columns = side
    yield written(wavelets)
    whole = written(native(grey))
    head, rest = meta(whole), whole[len(meta(whole)) :]
    deeper = b"\x08\0\x06\0SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"  # a sequence in its item
    back = b"\xfe\xff\r\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    for depth in (100, 300, 20_000):
        yield head + deeper * depth + back * depth + rest
    yield head + b"\x08\0\x05\0CS\0\0" * 500_000 + rest  # elements without a value
    yield bytes(128) + b"DICM" + b"\xff" * 100_000


def meta(data: bytes) -> bytes:
    """A DICOM file up to its dataset."""
    return data[: 144 + int.from_bytes(data[140:144], "little")]


def video_bombs() -> list[Source]:
    sources = videos()
    mp4, avi = sources[0]["clip.mp4"], sources[2]["clip.avi"]
    sized = mp4.replace(struct.pack(">HH", 96, 64), struct.pack(">HH", 65_535, 65_535))
    at = mp4.index(b"stsz")
    many = mp4[: at + 12] + struct.pack(">I", 2**31 - 1) + mp4[at + 16 :]
    tall = avi.replace(struct.pack("<II", 96, 64), struct.pack("<II", 2**31 - 1, 2**31 - 1))
    vast = Path(tempfile.mkdtemp()) / "vast.avi"
    with av.open(str(vast), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 4096, 4096, "yuvj420p"
        frame = av.VideoFrame(4096, 4096, "yuvj420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = vast.read_bytes()
    shutil.rmtree(vast.parent)
    playlist = b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"
    named = {"a.mp4": sized, "b.mp4": many, "c.avi": tall, "d.avi": data, "e.mp4": playlist, "f.mkv": mp4[:40] * 5000}
    return [{name: content} for name, content in named.items()]


def document_bombs() -> list[dict[str, Any]]:
    """What may stand where a value is expected."""
    return [
        {"x": None},
        {"x": float("nan")},
        {"x": 10**400},
        {"x": -1},
        {"x": []},
        {"x": {}},
        {"x": "../../etc/passwd"},
    ]


def label_me_bombs() -> list[Source]:
    keys = ("shapes", "imagePath", "imageData", "imageHeight", "imageWidth", "version", "flags")
    sources = [label_me(**{key: bomb["x"]}) for key in keys for bomb in document_bombs()]
    square = [[10, 10], [40, 10], [40, 30]]

    def shape(**changes: Any) -> Source:
        return label_me(shapes=[{"label": "vessel", "points": square, "shape_type": "polygon", **changes}])

    points: list[Any] = [[[float("nan"), 1]] * 3, [[1e308, -1e308]] * 3, [[1]] * 3, [["1", "2"]] * 3, [[1, 2, 3]] * 3]
    points += [[[10**30, 10**30]] * 4, [[2**31, 0]] * 3, [], [[1, 1]], [[n % 80, n % 60] for n in range(300_000)]]
    sources += [shape(points=value) for value in points]
    sources += [shape(**{key: bomb["x"]}) for key in ("label", "shape_type", "points") for bomb in document_bombs()]
    sources += [shape(label="x" * 1_000_000), shape(label="a\nb\0c"), label_me(shapes=[{}] * 100_000)]
    png = [base64.b64encode(data).decode() for data in picture_bombs()[:8]]
    sources += [label_me(imageData=data, imageHeight=MAX_SIDE_PX, imageWidth=MAX_SIDE_PX) for data in png]
    sources += [label_me(imageData="A" * (1 << 20)), label_me(imageHeight=10**9, imageWidth=10**9)]
    for text in texts():
        sources.append({**label_me(), "a.json": text})
    return sources


def nnu_net_bombs() -> list[Source]:
    keys = ("channel_names", "labels", "numTraining", "file_ending")
    sources = [nnu_net(**{key: bomb["x"]}) for key in keys for bomb in document_bombs()]
    for found in ({"background": 0, "a": 300}, {"a": 1}, {"background": 0, "a": "1"}, {"background": 0, "a": [1, 2]}):
        sources.append(nnu_net(labels=found))
    sources.append(nnu_net(labels={str(n): n for n in range(100_000)}))
    sources += [nnu_net(file_ending=ending) for ending in (".nii.gz", ".tif", "", ".", "/", ".PNG", "*")]
    for data in picture_bombs():
        sources.append({**nnu_net(), "imagesTr/case_000_0000.png": data})
        sources.append({**nnu_net(), "labelsTr/case_000.png": data})
    sources += [{**nnu_net(), "dataset.json": text} for text in texts()]
    sources.append({name: data for name, data in nnu_net().items() if name.startswith("imagesTr")})
    return sources


def texts() -> list[bytes]:
    """What calls itself JSON."""
    return [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 900 + b"]" * 900,
        b"9" * 100_000,
        b"1e99999",
        b"NaN",
        b"",
        b"null",
        b"\xff\xfe{\0}\0",
        b'{"labels": {"a": 1, "a": 2}}',
        b'"' + b"\\u0000" * 10_000 + b'"',
        b" " * (8 << 20),
    ]


# --- Mutations


def mutated(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """(what was done, the result)."""
    out = bytearray(data)
    size = max(len(out), 1)
    place = int(rng.integers(size)) if rng.random() < 0.5 else int(rng.integers(min(size, 2048)))
    match kind := str(rng.choice(KINDS)):
        case "flip":
            for _ in range(int(rng.integers(1, 30))):
                out[int(rng.integers(size))] ^= 1 << int(rng.integers(8))
        case "flip early":
            for _ in range(int(rng.integers(1, 6))):
                out[int(rng.integers(min(size, 1024)))] ^= 1 << int(rng.integers(8))
        case "cut":
            del out[place:]
        case "hole":
            del out[place : place + int(rng.integers(1, 400))]
        case "repeat":
            out[place:place] = out[place : place + int(rng.integers(1, 4000))]
        case "random":
            length = int(rng.integers(1, 200))
            out[place : place + length] = rng.bytes(length)
        case "number":
            value = int(rng.choice(np.array([0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000])))
            out[place : place + 4] = value.to_bytes(4, str(rng.choice(["big", "little"])))  # type: ignore[arg-type]
        case "header":
            other = HEADERS[int(rng.integers(len(HEADERS)))]
            out[: len(other)] = other
        case "append":
            out += rng.bytes(int(rng.integers(1, 5000)))
        case _:
            assert kind == "healed"
            out[place % size] ^= 1 << int(rng.integers(8))
            out = bytearray(healed(bytes(out)))
    return kind, bytes(out)


KINDS = ("flip", "flip early", "cut", "hole", "repeat", "random", "number", "header", "append", "healed")
HEADERS = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff\xe0\0\x10JFIF",
    bytes(128) + b"DICM",
    b"\0\0\0\x20ftypisom",
    b"RIFF\xff\xff\xff\xffAVI LIST",
    b"II*\0\x08\0\0\0",
    b'{"shapes": [',
    b"GIF89a",
    b"\x1a\x45\xdf\xa3",
    b"PK\x03\x04",
    b"\x1f\x8b\x08\0",
)


def healed(png: bytes) -> bytes:
    """A PNG with right checksums, so that a reader looks further; anything else as it is."""
    out, at = bytearray(png), 8
    while png.startswith(b"\x89PNG") and at + 12 <= len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(png):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(png[at + 4 : end]))
        at = end + 4
    return bytes(out)


def mutants(form: Format, count: int, seed: int) -> Iterator[tuple[str, Source]]:
    """``count`` broken sources: the bombs first, then random mutations of one file of a seed."""
    rng = np.random.default_rng(seed)
    bombs = 0
    for bombs, bomb in enumerate(islice(form.bombs(), count), start=1):
        yield f"bomb {bombs}", bomb
    seeds = list(form.seeds())
    for n in range(count - bombs):
        which = int(rng.integers(len(seeds)))
        source = seeds[which]
        names = sorted(source)
        name = names[int(rng.integers(len(names)))]
        kind, data = mutated(source[name], rng)
        yield f"{kind} {n} of {name} of seed {which}", {**source, name: data}


# --- Reading


def read_picture(path: Path) -> list[Raw]:
    pixels = read_image(path)
    return [Raw(pixels if pixels.ndim == 2 else pixels[..., 1])]


def read_clip(path: Path) -> Iterator[Raw]:
    for picture in open_video(path).pictures():
        yield Raw(picture.pixels if picture.pixels.ndim == 2 else picture.pixels[..., 1])


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def importer(name: str) -> tuple[Callable[..., Any], Callable[[Any], Any]]:
    module = import_module(f"edge3vt.data.importers.{name}")
    return module.find, module.read


def formats(name: str) -> Format:
    """Raises ModuleNotFoundError where its importer is not there."""
    match name:
        case "picture":
            return Format(lambda: map(named, pictures()), lambda: map(named, picture_bombs()), files_of, read_picture)
        case "clip":
            return Format(videos, video_bombs, files_of, read_clip)
        case "dicom":
            return Format(dicoms, dicom_bombs, *importer(name))
        case "pictures":
            find, read = importer(name)
            return Format(pairs, pair_bombs, partial(find, labels=PAIR_LABELS), read)
        case "video":
            return Format(videos, video_bombs, *importer(name))
        case "labelme":
            return Format(lambda: [label_me(), label_me(imageData=None)], label_me_bombs, *importer(name))
        case "nnunet":
            return Format(lambda: [nnu_net()], nnu_net_bombs, *importer(name))
    raise ValueError(f"no format {name}; known: {', '.join(NAMES)}")


def named(data: bytes) -> Source:
    return {"a.png" if data.startswith(b"\x89") else "a.jpg": data}


NAMES = ("picture", "clip", "dicom", "pictures", "video", "labelme", "nnunet")


def sound(raws: Any) -> str | None:
    """What is wrong with what an importer gave, None where nothing is."""
    if not isinstance(raws, list) or not raws or not all(isinstance(raw, Raw) for raw in raws):
        return f"no list of Raw: {raws!r:.100}"
    for raw in raws:
        picture, mask = raw.picture, raw.mask
        if picture.dtype != np.uint8 or picture.ndim != 2 or not 1 <= max(picture.shape) <= MAX_SIDE_PX:
            return f"a picture of {picture.dtype} {picture.shape}"
        if mask is not None and (mask.dtype != np.uint8 or mask.shape != picture.shape):
            return f"a mask of {mask.dtype} {mask.shape} for a picture of {picture.shape}"
        if SECRET in repr((raw.facts, raw.frame, raw.region, raw)):
            return "the patient's name"
    return None


KINDS_OF_REFUSAL = {
    "the reader failed": "failed",
    "the reader crashed": "crashed",
    "not read within": "late",
    "needs more than": "over memory",
}


def trial(form: Format, decoder: Decoder, root: Path, tally: Tally, title: str, timeout_s: float) -> None:
    """Import one source as the verb does, and note what came of it."""
    clock = SystemClock()

    def note(outcome: str, message: str, started_ns: int) -> None:
        tally.outcomes[outcome] += 1
        seconds = (clock.now_ns() - started_ns) / NS_PER_S
        if seconds > tally.worst_s:
            tally.worst_s, tally.worst = seconds, title
        if outcome in ("failed", "unsound") or "\n" in message or len(message) > 500 or SECRET in message:
            tally.faults.append(f"{title}: {outcome}: {message[:400]!r}")

    started_ns = clock.now_ns()
    try:
        jobs = list(form.find(root))
    except (DataError, ConfigError) as error:
        note("refused", str(error), started_ns)
        return
    except Exception as error:
        note("failed", f"find raised {type(error).__name__}: {error}", started_ns)
        return
    for job in jobs:
        started_ns = clock.now_ns()
        try:
            wrong = sound(decoder.call(form.read, job, timeout_s=timeout_s))
            note("unsound" if wrong else "accepted", wrong or "", started_ns)
        except DataError as error:
            kinds = [kind for words, kind in KINDS_OF_REFUSAL.items() if words in str(error)]
            note(kinds[0] if kinds else "refused", str(error), started_ns)


def run(form: Format, count: int, *, seed: int = 0, timeout_s: float = TIMEOUT_S) -> Tally:
    """``count`` mutants through one decoder."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, Decoder() as decoder:
        root = Path(folder) / "source"
        for title, source in mutants(form, count, seed):
            for name, data in source.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(data)
            trial(form, decoder, root, tally, title, timeout_s)
            tally.peak_mib = max(tally.peak_mib, decoder.call(peak_mib))
            shutil.rmtree(root)
    return tally


def peak_mib() -> float:
    """Largest resident memory of this process so far; it is called in the child."""
    status = Path("/proc/self/status")  # RUSAGE_CHILDREN would count what the parent held when it made the child
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), default=0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("formats", nargs="*", default=NAMES)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faults = 0
    for name in options.formats:
        try:
            form = formats(name)
        except ModuleNotFoundError as error:
            print(f"{name}: skipped, {error}")
            continue
        tally = run(form, options.count, seed=options.seed)
        faults += len(tally.faults)
        print(f"{name}: {tally}", *tally.faults[:20], sep="\n  ", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
