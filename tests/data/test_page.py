"""The page tells every finding, shows its pictures, and takes no name for HTML."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge3vt.data import page as module
from edge3vt.data.audit import Audit, Finding, audit
from edge3vt.data.dataset import Dataset
from edge3vt.data.page import page
from edge3vt.data.rules import RULES
from tests.data.cohort import changed, make_set

VOID = {"meta", "br", "img"}


class Reader(HTMLParser):
    """Text and tags; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.tags, self._open = "", [], list[str]()
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_set(tmp_path / "set", patients=9)


@pytest.fixture
def result(dataset: Dataset) -> Audit:
    return audit(dataset, workers=1)


def test_a_sound_set_says_so_and_shows_every_split(dataset: Dataset, result: Audit) -> None:
    seen = Reader(page(dataset, result))
    assert "passed" in seen.text
    assert "FAILED" not in seen.text
    assert "18 items of 9 patients" in seen.text
    assert all(rule in seen.text for rule in RULES)
    pictures = [attributes for tag, attributes in seen.tags if tag == "img"]
    assert sorted(str(p["alt"]) for p in pictures) == sorted(item.id for item in dataset.items)
    data = base64.b64decode(str(pictures[0]["src"]).removeprefix("data:image/jpeg;base64,"))
    shape = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape
    assert (str(shape[1]), str(shape[0])) == (pictures[0]["width"], pictures[0]["height"])
    assert not {tag for tag, _ in seen.tags} & {"script", "link"}


def test_findings_are_told_with_their_pictures(dataset: Dataset, result: Audit) -> None:
    finding = Finding("near-duplicate-leak", "error", ("p0-0", "p1-0"), "alike")
    (dataset.folder / "pictures/p1-0.png").unlink()
    text = page(dataset, replace(result, findings=(finding,)))
    seen = Reader(text)
    assert "FAILED: 1 error" in seen.text
    (block,) = re.findall(r'<div class="pair">.*?</div>', text)
    assert block.count("<figure>") == 2
    assert "cannot be read" in block
    assert '<a href="#near-duplicate-leak">' in text
    assert 'id="near-duplicate-leak"' in text


def test_many_findings_are_shown_listed_and_counted(
    dataset: Dataset, result: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINES", 3)
    findings = tuple(Finding("text-like", "warning", ("p0-0",), f"place {i}") for i in range(20))
    text = page(dataset, replace(result, findings=findings, accepted=("text-like",)))
    assert text.count('<div class="pair">') == module.SHOWN
    assert [f"place {i}<" in text for i in range(20)] == [i < module.SHOWN + 3 for i in range(20)]
    assert f"and {20 - module.SHOWN - 3} more" in text
    assert "warning, accepted" in text


def test_names_are_text(dataset: Dataset, result: Audit) -> None:
    evil = "<script>\"&'"
    marked = changed(dataset, "p0-0", patient=evil)
    marked = replace(marked, name=evil, classes=("background", "vessel", "nerve"))
    finding = Finding("patient-leak", "error", ("p0-0",), evil)
    text = page(marked, replace(result, name=evil, findings=(finding, replace(finding, items=()))))
    seen = Reader(text)
    assert seen.text.count(evil) >= 4
    assert "<script" not in text
