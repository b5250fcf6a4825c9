"""Documents: TOML that people write, JSON that programs write, both as frozen dataclasses with unknown keys refused.

Also the one way a file is written: whole or not at all.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from edge3vt.core.errors import ConfigError, DataError, Edge3vtError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - the same parser under its older name
    import tomli as tomllib

MAX_DOCUMENT_BYTES = 64 << 20
_PARTIAL = re.compile(r"\.(?P<stem>.+)\.(?P<pid>[0-9]{1,10})\.part(?P<suffix>(\.[^.]*)?)", re.DOTALL)
T = TypeVar("T")


def read_toml(cls: type[T], path: Path, changes: Iterable[str] = ()) -> T:
    """The TOML document at ``path`` as ``cls``. Raises ConfigError naming file, key, expectation and remedy.

    changes: "table.key=value" each, the value as TOML writes it, or a bare word for a string; they win over the file.
    """
    try:
        raw = tomllib.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML ({error}); correct the file") from error
    for change in changes:
        _change(raw, change)
    return from_mapping(cls, raw, where=str(path))


def _change(raw: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    *tables, key = name.strip().split(".")
    if not equals or not all((*tables, key)):
        raise ConfigError(f"'{change}': expected KEY=VALUE or TABLE.KEY=VALUE")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()
    for table in tables:
        raw = raw.setdefault(table, {})
        if not isinstance(raw, dict):
            raise ConfigError(f"'{change}': {table} is no table")
    raw[key] = value


def read_json(cls: type[T], path: Path) -> T:
    """The JSON document at ``path`` as ``cls``; raises ConfigError."""
    return parse_json(cls, _read_text(path), where=str(path))


def parse_json(cls: type[T], text: str, *, where: str) -> T:
    """A JSON text as ``cls``; duplicate keys and unknown keys are refused with ConfigError."""
    try:
        raw = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON ({error}); restore the file from where it was made") from error
    return from_mapping(cls, raw, where=where)


def to_json(document: Any, *, indent: int | None = 2) -> str:
    """Dataclass instances and plain values as JSON, keys in order of definition; NaN and infinity are refused."""
    return json.dumps(document, default=_plain, indent=indent, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(document: Any, path: Path) -> None:
    """Write ``document`` to ``path`` as JSON, whole or not at all."""
    write_bytes(path, to_json(document).encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all, and durably."""
    with whole_file(path) as partial:
        partial.write_bytes(data)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes ``path``'s name, on failure it is removed.

    What killed processes left of the same name is removed too. Raises DataError where the file cannot be written.
    """
    try:
        if path.is_dir():
            raise DataError(f"{path}: is a folder; name a file in it")
        partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in _left(path.parent.absolute()).pop(path.name, ()):
            left.unlink(missing_ok=True)
        partial.touch()
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); choose another output") from error
    try:
        yield partial
        rename_durably(partial, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); choose another output") from error
    finally:
        partial.unlink(missing_ok=True)


def rename_durably(whole: Path, path: Path) -> None:
    """Give a file that was written its name, in the same folder, once its bytes are on the disk. Raises OSError."""
    with whole.open("rb+") as file:
        os.fsync(file.fileno())
    whole.replace(path)
    _sync_folder(path.parent)


def gone(pid: int) -> bool:
    """Whether no process of this machine has this id; False where that cannot be told."""
    if os.name != "posix":  # there, signal 0 is none
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass
    return False


def from_mapping(cls: type[T], raw: object, *, where: str) -> T:
    """Build the dataclass ``cls`` from a parsed document. Raises ConfigError, or what ``cls`` itself raises."""
    return typing.cast(T, _convert(cls, raw, where, ""))


def suggestion(wrong: str, known: typing.Iterable[str]) -> str:
    """``; did you mean 'x'?`` or the list of what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(wrong, names, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(names)}"


def _convert(kind: Any, raw: object, where: str, key: str) -> object:
    at = f"{where}: {key}" if key else where
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _convert_dataclass(kind, raw, where, key)
    if origin in (typing.Union, types.UnionType):
        if raw is None and type(None) in arguments:
            return None
        if str in arguments and isinstance(raw, str):
            return raw
        other = next((a for a in arguments if a not in (str, type(None))), str)  # there is one at most
        return _convert(other, raw, where, key)
    if origin is Literal:
        if raw not in arguments:
            raise ConfigError(f"{at}: found {raw!r}, expected one of {', '.join(map(repr, arguments))}")
        return raw
    if origin is tuple:
        if not isinstance(raw, list | tuple):
            raise ConfigError(f"{at}: found {_kind(raw)}, expected a list")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_convert(arguments[0], item, where, f"{key}[{i}]") for i, item in enumerate(raw))
        if len(raw) != len(arguments):
            raise ConfigError(f"{at}: found {len(raw)} items, expected {len(arguments)}")
        return tuple(
            _convert(a, item, where, f"{key}[{i}]") for i, (a, item) in enumerate(zip(arguments, raw, strict=True))
        )
    if origin is dict:
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{at}: found {_kind(raw)}, expected a table")
        return {
            name: _convert(arguments[1], value, where, f"{key}.{name}" if key else name) for name, value in raw.items()
        }
    if kind is Any:
        return raw
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        raw = float(raw) if abs(raw) < sys.float_info.max else math.inf
    if not isinstance(raw, kind) or (isinstance(raw, bool) and kind is not bool):
        raise ConfigError(f"{at}: found {_kind(raw)}, expected {kind.__name__}")
    if isinstance(raw, float) and not math.isfinite(raw):
        raise ConfigError(f"{at}: found {raw}, expected a finite number")
    return raw


def _convert_dataclass(cls: type[Any], raw: object, where: str, key: str) -> object:
    at = f"{where}: {key}" if key else where
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{at}: found {_kind(raw)}, expected a table")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for name in raw:
        if name not in fields:
            raise ConfigError(f"{at}: unknown key '{name}'{suggestion(str(name), fields)}")
    values = {}
    for name, field in fields.items():
        if name in raw:
            values[name] = _convert(hints[name], raw[name], where, f"{key}.{name}" if key else name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{at}: the key '{name}' is missing; add it")
    try:
        return cls(**values)
    except Edge3vtError as error:
        raise type(error)(f"{at}: {error}") from error


def _kind(raw: object) -> str:
    if not isinstance(raw, str | int | float | bool):
        return type(raw).__name__
    text = repr(raw)
    return f"{text if len(text) <= 80 else text[:80] + '…'} ({type(raw).__name__})"


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} has no place in a document")


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_DOCUMENT_BYTES >> 20} MiB; this is no document of ours")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text; correct the file") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} stands twice")
    return dict(pairs)


@cache
def _left(folder: Path) -> dict[str, list[Path]]:
    """What killed processes left in a folder, by the name that it was for; looked for once a process and folder."""
    found: dict[str, list[Path]] = {}
    for name in os.listdir(folder):
        match = _PARTIAL.fullmatch(name)
        if match is not None and gone(int(match["pid"])):
            found.setdefault(match["stem"] + match["suffix"], []).append(folder / name)
    return found


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
