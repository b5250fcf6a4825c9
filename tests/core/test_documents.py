from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge3vt.core.documents import (
    from_mapping,
    gone,
    parse_json,
    read_json,
    read_toml,
    suggestion,
    to_json,
    whole_file,
    write_bytes,
    write_json,
)
from edge3vt.core.errors import ArtifactError, ConfigError, DataError


@dataclass(frozen=True)
class Inner:
    weight: float
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = 1
    precision: Literal["int8", "fp32"] = "int8"
    flag: bool = False
    note: str | None = None
    pair: tuple[int, float] = (0, 0.0)
    either: float | str | None = None
    inner: Inner | None = None
    table: dict[str, Inner] = dataclasses.field(default_factory=dict)
    free: Any = None


@dataclass(frozen=True)
class Picky:
    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ArtifactError("size is not positive; make it 1")


def test_toml_becomes_nested_dataclasses(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        'name = "a"\nprecision = "fp32"\npair = [1, 2]\ninner = {weight = 3, tags = ["x"]}\n[table.b]\nweight = 0.5\n'
    )
    assert read_toml(Outer, path) == Outer(
        "a", precision="fp32", pair=(1, 2.0), inner=Inner(3.0, ("x",)), table={"b": Inner(0.5)}
    )


def test_single_keys_are_changed_as_toml_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('name = "a"\ncount = 2\n[inner]\nweight = 3\n')
    changed = read_toml(Outer, path, ["count=5", "inner.tags=['x']", "note=a bare word", "table.b.weight = 1.5"])
    assert changed == Outer("a", 5, note="a bare word", inner=Inner(3.0, ("x",)), table={"b": Inner(1.5)})
    for wrong, message in (("count", "expected KEY=VALUE"), ("name.x=1", "name is no table"), ("cuont=1", "'count'")):
        with pytest.raises(ConfigError, match=message):
            read_toml(Outer, path, [wrong])


@pytest.mark.parametrize("value", [3.5, "3.5", "", None])
def test_a_number_or_a_text_comes_back_as_what_it_was(value: float | str | None) -> None:
    assert from_mapping(Outer, {"name": "a", "either": value}, where="doc").either == value
    assert from_mapping(Outer, {"name": "a", "either": 3}, where="doc").either == 3.0


def test_json_comes_back_as_it_was_written(tmp_path: Path) -> None:
    document = Outer("ä", note="n", inner=Inner(1e-300, ("t", "u")), table={"z": Inner(0.0)}, free={"any": [1, "two"]})
    write_json(document, tmp_path / "d.json")
    assert read_json(Outer, tmp_path / "d.json") == document


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "doc: the key 'name' is missing; add it"),
        ({"name": "a", "precison": "int8"}, "doc: unknown key 'precison'; did you mean 'precision'?"),
        ({"name": "a", "zzz": 0}, "doc: unknown key 'zzz'; known: count, either, flag, free, inner, name"),
        ({"name": "a", "inner": {"wait": 1}}, "doc: inner: unknown key 'wait'; did you mean 'weight'?"),
        ({"name": "a", "table": {"b": {"weight": "x"}}}, "doc: table.b.weight: found 'x' (str), expected float"),
        ({"name": "a", "inner": {"weight": 1, "tags": ["x", 2]}}, "doc: inner.tags[1]: found 2 (int), expected str"),
        ({"name": "a", "precision": "int4"}, "doc: precision: found 'int4', expected one of 'int8', 'fp32'"),
        ({"name": 1}, "doc: name: found 1 (int), expected str"),
        ({"name": "a", "count": True}, "doc: count: found True (bool), expected int"),
        ({"name": "a", "count": 1.0}, "doc: count: found 1.0 (float), expected int"),
        ({"name": "a", "flag": 1}, "doc: flag: found 1 (int), expected bool"),
        ({"name": "a", "pair": [1]}, "doc: pair: found 1 items, expected 2"),
        ({"name": "a", "pair": [1, float("nan")]}, "doc: pair[1]: found nan, expected a finite number"),
        ({"name": "a", "pair": [1, 10**400]}, "doc: pair[1]: found inf, expected a finite number"),
        ({"name": "a", "either": [1]}, "doc: either: found list, expected float"),
        ({"name": "a", "either": float("inf")}, "doc: either: found inf, expected a finite number"),
        ({"name": "a", "pair": "12"}, "doc: pair: found '12' (str), expected a list"),
        ({"name": "a", "table": []}, "doc: table: found list, expected a table"),
        ({"name": "a", "count": "x" * 1000}, f"doc: count: found '{'x' * 79}… (str), expected int"),
        ({"name": None}, "doc: name: found NoneType, expected str"),
        ([], "doc: found list, expected a table"),
    ],
)
def test_what_does_not_fit_is_refused_by_place_and_expectation(raw: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping(Outer, raw, where="doc")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_own_check_of_a_document_gains_the_place() -> None:
    with pytest.raises(ArtifactError, match=r"^doc: size is not positive; make it 1$"):
        from_mapping(Picky, {"size": 0}, where="doc")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"weight": 1, "weight": 2}', "the key 'weight' stands twice"),
        ('{"weight": NaN}', "expected a finite number"),
        ('{"weight": 1e999}', "expected a finite number"),
        ('{"weight": ' + "1" * 5000 + "}", "doc"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_bad_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_json(Inner, text, where="doc")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = ", "not TOML"),
        (b"count = " + b"1" * 5000, "not TOML"),
        (b"x = " + b"[" * 100_000, "not TOML"),
        (b'name = "\xff"', "not UTF-8 text"),
    ],
)
def test_bad_toml_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_toml(Outer, tmp_path / "a.toml")
    assert str(tmp_path / "a.toml") in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: no such file"):
        read_toml(Outer, tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(Outer, tmp_path)
    (tmp_path / "big.toml").write_text('name = "a"')
    monkeypatch.setattr("edge3vt.core.documents.MAX_DOCUMENT_BYTES", 3)
    with pytest.raises(ConfigError, match="larger than"):
        read_toml(Outer, tmp_path / "big.toml")


def test_json_holds_no_nan_and_no_class() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"x": float("nan")})
    with pytest.raises(TypeError):
        to_json(Outer)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["int8", "a", ""])
values = leaves | st.lists(leaves, max_size=3) | st.dictionaries(st.sampled_from(["weight", "tags", "b"]), leaves)


@given(st.fixed_dictionaries({"name": st.just("a")}, optional={f.name: values for f in dataclasses.fields(Outer)[1:]}))
def test_any_mapping_is_a_document_or_refused(raw: dict[str, Any]) -> None:
    try:
        document = from_mapping(Outer, raw, where="doc")
    except ConfigError:
        return
    assert repr(from_mapping(Outer, dataclasses.asdict(document), where="doc")) == repr(document)


def test_suggestion_or_all_that_is_known() -> None:
    assert suggestion("recpie", ["recipe", "set"]) == "; did you mean 'recipe'?"
    assert suggestion("q", ["b", "a"]) == "; known: a, b"


def test_a_whole_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "out.mp4"
    write_bytes(path, b"old")
    with whole_file(path) as partial:
        assert partial.parent == path.parent  # the same file system
        assert partial.suffix == ".mp4"  # writers choose a format by it
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def write_half_and_raise(path: Path, error: Exception) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(b"half")
        raise error


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_write_that_raises_leaves_what_was_there(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "out.json"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(ZeroDivisionError):
        write_half_and_raise(path, ZeroDivisionError())
    assert [p.name for p in tmp_path.iterdir()] == ([] if before is None else ["out.json"])
    assert before is None or path.read_bytes() == before


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_bytes(b"old")
    script = f"""
import os, signal
from pathlib import Path
from edge3vt.core.documents import whole_file
with whole_file(Path({str(path)!r})) as partial:
    partial.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "out.json", tmp_path / ("x" * 300)):
        with pytest.raises(DataError, match="cannot be written") as caught:
            write_bytes(path, b"")
        assert str(path) in str(caught.value)
    for path in (tmp_path, Path(), Path(os.sep)):
        with pytest.raises(DataError, match="is a folder"):
            write_bytes(path, b"")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"out\.bin: cannot be written \(No space left on device\)"):
        write_half_and_raise(tmp_path / "out.bin", OSError(28, "No space left on device"))
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_goes_with_the_next_and_nothing_else(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".out.{ended.pid}.part.json"
    others = [
        tmp_path / f".out.{os.getpid()}.part.mp4",  # of a process that lives
        tmp_path / f".other.{ended.pid}.part.json",
        tmp_path / f".out.{ended.pid}.json",
        tmp_path / ".out.x.part.json",
    ]
    for path in (left, *others):
        path.write_bytes(b"half")
    write_bytes(tmp_path / "out.json", b"new")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "out.json", *others])
    assert not gone(os.getpid())
    assert not gone(1)
