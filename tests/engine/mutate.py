"""Broken and hostile engine folders and bundles: ``python -m tests.engine.mutate N [--seed S]``.

Each of N is refused in one line, before a runtime, an ONNX or an archive reader sees it; and no JSON is parsed but what
a pinned key signed. Exit code 1 where one is not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.qdq import insert
from edge3vt.core.documents import to_json
from edge3vt.core.errors import ArtifactError
from edge3vt.engine import bundle, keyring, manifest
from edge3vt.engine import open as opening
from edge3vt.engine.build import build
from edge3vt.engine.recipe import EngineRecipe, VerifyLimits
from tests import nets

SIZE = 64
LIMITS = VerifyLimits(min_agreement=0.5, min_dice=0.0, max_mean_error=0.5, max_peak_error=0.5, max_view_difference=9.0)
FILES = (manifest.MANIFEST, manifest.SIGNATURE, manifest.ENGINE, manifest.GOLDEN)
Files = dict[str, bytes]


@dataclass(eq=False)
class Stock:
    """Sound material. new, old: releases 2 and 1 of one engine. other: another engine. foreign: by an unknown key."""

    new: Files
    old: Files
    other: Files
    foreign: Files
    bundle: bytes
    old_bundle: bytes
    foreign_bundle: bytes


@contextmanager
def keys(folder: Path) -> Iterator[None]:
    with mock.patch.dict(os.environ, {keyring.VARIABLE: str(folder)}):
        yield


def stock(root: Path) -> Stock:
    """Build it; leaves the maker's keys and a floor of release 2 in root/keys, a stranger's keys in root/strange."""
    fp32, other = nets.student(SIZE), nets.student(SIZE, seed=1)
    spec, golden = nets.spec(SIZE), nets.pictures(3, SIZE, seed=3)

    def made(name: str, model: bytes, release: int) -> tuple[Files, bytes]:
        table = observe(model, spec, nets.pictures(8, SIZE), set_name="some")
        recipe = EngineRecipe(1, name, "small.onnx", "int8", "onnxruntime", "golden", "some", verify=LIMITS)
        out = root / "work" / name
        build(recipe, model, insert(model, table), golden, out, overwrite=True, release=release)
        packed = bundle.pack(manifest.unseal(out), model, to_json(table).encode(), {bundle.CARD: b"card"})
        return {path.name: path.read_bytes() for path in out.iterdir()}, packed

    with keys(root / "strange"):
        foreign, foreign_bundle = made("small", fp32, 2)
    with keys(root / "keys"):
        old, old_bundle = made("small", fp32, 1)
        new, packed = made("small", fp32, 2)
        another, _ = made("another", other, 1)
        keyring.raise_floor(keyring.own_key()[0], "small", 2)
    return Stock(new, old, another, foreign, packed, old_bundle, foreign_bundle)


# --- What may not be read


@dataclass(eq=False)
class Watch:
    """Every parser, watched: signed: the texts that a pinned key signed; seen: what was parsed and should not be."""

    signed: set[str]
    seen: list[str] = field(default_factory=list)

    @contextmanager
    def on(self) -> Iterator[None]:
        parsed = manifest.parse_json

        def parse(cls: type[Any], text: str, *, where: str) -> Any:
            if text not in self.signed:
                self.seen.append(f"JSON of {where}")
            return parsed(cls, text, where=where)

        def spy(name: str) -> Callable[..., Any]:
            def look(*_: object, **__: object) -> Any:
                self.seen.append(name)
                raise AssertionError(f"{name} was reached")

            return look

        with ExitStack() as stack:
            for module in (manifest, bundle):
                stack.enter_context(mock.patch.object(module, "parse_json", parse))
            for module, name in ((opening, "open_model"), (opening, "from_bytes"), (opening, "prove")):
                stack.enter_context(mock.patch.object(module, name, spy(name)))
            yield


# --- Folders


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    out[int(rng.integers(len(out)))] ^= 1 << int(rng.integers(8))
    return bytes(out)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data)))]


def doubled_key(text: str, rng: np.random.Generator) -> str:
    """A JSON document one of whose top keys stands twice."""
    names = list(json.loads(text))
    name = names[int(rng.integers(len(names)))]
    return text.replace("{", f'{{"{name}": 0,', 1)


def folder_mutant(kind: str, path: Path, good: Stock, rng: np.random.Generator, watch: Watch) -> Callable[[], None]:
    """Write a broken engine folder; returns what breaks it while it is read, for most nothing."""
    files = dict(good.new)
    name = FILES[int(rng.integers(len(FILES)))]
    late: Callable[[], None] = lambda: None  # noqa: E731
    special: Callable[[Path], None] | None = None
    match kind:
        case "flip":
            files[name] = flipped(files[name], rng)
        case "cut":
            files[name] = cut(files[name], rng)
        case "append":
            files[name] += rng.bytes(int(rng.integers(1, 64)))
        case "random":
            files[name] = rng.bytes(len(files[name]))
        case "missing":
            del files[name]
        case "extra":
            extra = ("plugin.so", "engine.plan", "manifest.sha256", ".hidden", "engine.onnx ", "Engine.onnx")
            files[extra[int(rng.integers(len(extra)))]] = rng.bytes(int(rng.integers(0, 99)))
        case "exchanged":
            second = FILES[(FILES.index(name) + int(rng.integers(1, 4))) % 4]
            files[name], files[second] = files[second], files[name]
        case "of another":
            files[name] = good.other[name]
        case "of the old":
            files[name] = good.old[name]
            if files == good.new:  # the same bytes in both releases
                files[manifest.MANIFEST] = good.old[manifest.MANIFEST]
        case "old":
            files = dict(good.old)
        case "wrong key":
            files = dict(good.foreign)
        case "wrong key's signature":
            files[manifest.SIGNATURE] = good.foreign[manifest.SIGNATURE]
        case "renamed key":
            ours = files[manifest.SIGNATURE].split()[1]
            stranger, mark = good.foreign[manifest.SIGNATURE].split()[1:]
            files[manifest.MANIFEST] = good.foreign[manifest.MANIFEST].replace(stranger, ours)
            files[manifest.SIGNATURE] = b"ed25519 " + ours + b" " + mark + b"\n"
        case "other purpose":
            files[manifest.SIGNATURE] = keyring.sign("bundle", files[manifest.MANIFEST])
        case "duplicate key":
            files[manifest.MANIFEST] = doubled_key(files[manifest.MANIFEST].decode(), rng).encode()
        case "duplicate key, signed":
            text = doubled_key(files[manifest.MANIFEST].decode(), rng)
            watch.signed.add(text)
            files[manifest.MANIFEST] = text.encode()
            files[manifest.SIGNATURE] = keyring.sign(manifest.PURPOSE, text.encode())
        case "link":
            special = lambda file: file.symlink_to(path.with_name("elsewhere"))  # noqa: E731
        case "hard link":
            special = lambda file: os.link(path.with_name("elsewhere"), file)  # noqa: E731
        case "pipe":
            special = os.mkfifo
        case "folder":
            special = Path.mkdir
        case "replaced":
            name = FILES[2 + int(rng.integers(2))]
            evil = good.other[name] if rng.integers(2) else flipped(files[name], rng)

            def replace(name: str = name, evil: bytes = evil) -> None:
                (path / "new").write_bytes(evil)
                (path / "new").rename(path / name)

            late = replace
        case _:
            raise ValueError(kind)
    path.mkdir()
    for each, data in files.items():
        (path / each).write_bytes(data)
    if special is not None:
        (path / name).rename(path.with_name("elsewhere"))
        special(path / name)
    return late


FOLDER_KINDS = (
    *("flip", "cut", "append", "random", "missing", "extra", "exchanged", "of another", "of the old", "old"),
    *("wrong key", "wrong key's signature", "renamed key", "other purpose", "duplicate key", "duplicate key, signed"),
    *("link", "hard link", "pipe", "folder", "replaced"),
)


# --- Bundles


def bundle_mutant(kind: str, path: Path, good: Stock, rng: np.random.Generator, watch: Watch) -> Callable[[], None]:
    data = good.bundle
    files = dict(bundle._entries(data, path))
    names = list(files)
    name = names[int(rng.integers(len(names)))]
    match kind:
        case "flip":
            data = flipped(data, rng)
        case "flip in a head or a padding":
            places = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
            at = places[int(rng.integers(len(places)))] - int(rng.integers(-512, 8))
            data = data[:at] + flipped(data[at : at + 1], rng) + data[at + 1 :] if at >= 0 else flipped(data, rng)
        case "cut":
            data = cut(data, rng)
        case "append":
            data += bytes(512) if rng.integers(2) else rng.bytes(int(rng.integers(1, 2000)))
        case "random":
            data = rng.bytes(4096)
        case "missing":
            del files[name]
            data = bundle._tar(files)
        case "extra":
            data = bundle._tar(files | {"plugin.so": b"\x7fELF"})
        case "twice":
            data = bundle._tar({name: files[name]})[:-1024] + data
            data = good.bundle[:-1024] + bundle._tar({name: files[name]}) if rng.integers(2) else data
        case "exchanged":
            second = names[(names.index(name) + int(rng.integers(1, len(names)))) % len(names)]
            files[name], files[second] = files[second], files[name]
            data = bundle._tar(files)
        case "order":
            data = bundle._tar(dict(reversed(files.items())))
        case "of another":
            files[manifest.ENGINE] = good.other[manifest.ENGINE]
            data = bundle._tar(files)
        case "link":
            at = data.index(name.encode() + b"\0")
            data = data[: at + 156] + b"2" + data[at + 157 :]
        case "path":
            data = bundle._tar({("../" + each if each == name else each): body for each, body in files.items()})
        case "old":
            data = good.old_bundle
        case "wrong key":
            data = good.foreign_bundle
        case "other purpose":
            files[bundle.SIGNATURE] = keyring.sign("engine", files[bundle.BUNDLE])
            data = bundle._tar(files)
        case "duplicate key":
            files[bundle.BUNDLE] = doubled_key(files[bundle.BUNDLE].decode(), rng).encode()
            data = bundle._tar(files)
        case "duplicate key, signed":
            text = doubled_key(files[bundle.BUNDLE].decode(), rng)
            watch.signed.add(text)
            files |= {bundle.BUNDLE: text.encode(), bundle.SIGNATURE: keyring.sign(bundle.PURPOSE, text.encode())}
            data = bundle._tar(files)
        case _:
            raise ValueError(kind)
    path.write_bytes(data)
    return lambda: None  # it is read once, so that nothing can be replaced between check and load


BUNDLE_KINDS = (
    *("flip", "flip in a head or a padding", "cut", "append", "random", "missing", "extra", "twice", "exchanged"),
    *("order", "of another", "link", "path", "old", "wrong key", "other purpose", "duplicate key"),
    "duplicate key, signed",
)


# --- Trials


@dataclass(eq=False)
class Tally:
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.refused.items()))
        return f"{self.refused.total()} refused unparsed, {len(self.faults)} not: {kinds}"


def trial(kind: str, path: Path, late: Callable[[], None], watch: Watch, tally: Tally) -> None:
    """Open it as a cart does, and note what came of it."""
    check = keyring.check

    def checked(*arguments: Any, **options: Any) -> str:
        key = check(*arguments, **options)
        late()
        return key

    watch.seen.clear()
    try:
        with watch.on(), mock.patch.object(keyring, "check", checked):
            if path.is_dir():
                opening.open_engine(path).close()
            else:
                bundle.unpack(path)
        tally.faults.append(f"{kind}: accepted")
    except ArtifactError as error:
        if watch.seen or "\n" in str(error):
            tally.faults.append(f"{kind}: parsed {watch.seen}, said {error}")
        else:
            tally.refused[kind] += 1
    except Exception as error:
        tally.faults.append(f"{kind}: {type(error).__name__}: {error}; parsed {watch.seen}")


def run(good: Stock, root: Path, count: int, seed: int = 0) -> Tally:
    """``count`` mutants, of every kind in turn."""
    tally, rng = Tally(), np.random.default_rng(seed)
    watch = Watch({files[manifest.MANIFEST].decode() for files in (good.new, good.old, good.other)})
    watch.signed |= {
        dict(bundle._entries(each, root))[bundle.BUNDLE].decode() for each in (good.bundle, good.old_bundle)
    }
    makers = [(folder_mutant, kind, "folder") for kind in FOLDER_KINDS]
    makers += [(bundle_mutant, kind, "bundle") for kind in BUNDLE_KINDS]
    with keys(root / "keys"):
        for number in range(count):
            make, kind, what = makers[number % len(makers)]
            place = root / "trial"
            place.mkdir()
            late = make(kind, place / "small", good, rng, watch)
            trial(f"{what}: {kind}", place / "small", late, watch, tally)
            shutil.rmtree(place)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = run(stock(Path(folder)), Path(folder), options.count, options.seed)
    print(tally, *tally.faults[:20], sep="\n  ")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
