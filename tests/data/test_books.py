from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.errors import ConfigError
from edge3vt.data.books import begin, begun, line, lock
from edge3vt.data.dataset import PARTIAL, Item
from edge3vt.data.writer import write_item

HEAD = {"schema": 1, "name": "mine", "request": {"source": "x", "every": "1"}}
CLASSES = ("background", "a")


def items(folder: Path, *ids: str, cine: str | None = None, source: str = "s") -> list[Item]:
    picture = np.zeros((4, 5), np.uint8)
    return [write_item(folder, CLASSES, id, picture, picture, patient="p", source=source, cine=cine) for id in ids]


def test_the_books_are_read_as_they_were_kept(tmp_path: Path) -> None:
    first, second = items(tmp_path, "a", source="a\u2028line\x85and\nmore"), items(tmp_path, "b", "c", cine="x")
    begin(tmp_path, HEAD, first)
    with (tmp_path / PARTIAL).open("a", encoding="utf-8") as file:
        file.write(line(second))
    assert list(begun(tmp_path, HEAD)) == first + second
    begin(tmp_path, HEAD, second)  # anew
    assert list(begun(tmp_path, HEAD)) == second
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def test_without_books_nothing_was_begun(tmp_path: Path) -> None:
    assert list(begun(tmp_path, HEAD)) == []
    for text in ("", "{", '\xff{"schema"'):
        (tmp_path / PARTIAL).write_text(text)
        assert list(begun(tmp_path, HEAD)) == []


def test_a_torn_or_foreign_line_does_not_count(tmp_path: Path) -> None:
    begin(tmp_path, HEAD, kept := items(tmp_path, "a"))
    whole = line(items(tmp_path, "b"))
    with (tmp_path / PARTIAL).open("a", encoding="utf-8") as file:
        file.write('[{"id": "../../etc"}]\nnull\n[1]\n' + whole[:-20])
    assert list(begun(tmp_path, HEAD)) == kept


@pytest.mark.parametrize("kind", ["pictures", "masks"])
def test_items_taken_together_count_only_when_all_are_whole(tmp_path: Path, kind: str) -> None:
    begin(tmp_path, HEAD, kept := items(tmp_path, "a"))
    with (tmp_path / PARTIAL).open("a", encoding="utf-8") as file:
        file.write(line(items(tmp_path, "b", "c", cine="x")))
    (tmp_path / kind / "c.png").write_bytes(b"other")
    assert list(begun(tmp_path, HEAD)) == kept


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({**HEAD, "name": "yours"}, "begun with name 'mine', not 'yours'"),
        ({**HEAD, "request": {"source": "x", "every": "2"}}, "begun with every '1', not '2'"),
        ({**HEAD, "request": {"source": "x"}}, "begun with request"),
    ],
)
def test_another_head_is_refused_by_what_differs(tmp_path: Path, head: dict[str, object], message: str) -> None:
    begin(tmp_path, HEAD, [])
    with pytest.raises(ConfigError, match=message):
        list(begun(tmp_path, head))
    (tmp_path / PARTIAL).write_text("7\n")
    with pytest.raises(ConfigError, match="begun with schema None, not 1"):
        list(begun(tmp_path, HEAD))


def test_a_lock_keeps_others_out_until_it_is_closed(tmp_path: Path) -> None:
    handle = lock(tmp_path)
    with pytest.raises(ConfigError, match="another run is writing this data set"):
        lock(tmp_path)
    os.close(handle)
    os.close(lock(tmp_path))
