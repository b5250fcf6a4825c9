"""A sound set passes; each rule sees the fault that was planted for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge3vt.core.digest import sha256_file
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.data import audit as module
from edge3vt.data import decoder
from edge3vt.data.audit import audit
from edge3vt.data.dataset import Dataset, read_dataset, write_items
from edge3vt.data.decoder import MOST_WORKERS
from edge3vt.data.rules import RULES
from edge3vt.picture.text import rendered
from tests.data.cohort import REGION, SIDE, changed, make_set, repainted, structures, tissue


@pytest.fixture
def sound(tmp_path: Path) -> Dataset:
    return make_set(tmp_path / "set")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the items in this process, which is faster than starting a child."""

    def decode_all(function: Callable[[Any], Any], jobs: Iterable[Any], workers: int) -> Iterator[tuple[Any, Any]]:
        for job in jobs:
            try:
                yield job, function(job)
            except DataError as error:
                yield job, error

    monkeypatch.setattr(module, "decode_all", decode_all)


def test_a_sound_set_passes_without_a_finding(sound: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    result = audit(sound, workers=2, told=lambda *done: seen.append(done))
    assert [finding.line for finding in result.findings] == []
    assert result.passed
    assert (result.items, result.patients) == (18, 9)
    assert seen == [(done, 18) for done in range(1, 19)]
    for tally in result.tallies:
        assert (tally.items, tally.patients, tally.labelled) == (6, 3, 6)
        assert tally.class_items == {"vessel": 6, "nerve": 6}
        pictures = np.concatenate([sound.picture(i)[8:88, 8:88].ravel() for i in sound.of(tally.split)])
        masks = np.concatenate([sound.mask(i).ravel() for i in sound.of(tally.split)])
        assert tally.class_pixels == {"vessel": int((masks == 1).sum()), "nerve": int((masks == 2).sum())}
        assert tally.black_share == pytest.approx((pictures == 0).mean())
        assert tally.saturated_share == pytest.approx((pictures == 255).mean())
        assert tally.percentiles["p50"] == np.percentile(pictures, 50, method="inverted_cdf")


def _lettered() -> Pixels:
    picture = np.zeros((SIDE, SIDE), np.uint8)
    picture[8:88, 8:88] = tissue(0)[8:88, 8:88]
    picture[60:88, 8:88] = 0
    text = rendered("DOE JANE", 12, (255, 255, 255))[:20, :70, 0]
    picture[64 : 64 + text.shape[0], 12 : 12 + text.shape[1]] = np.where(text > 20, text, 0)
    return picture


def _lit_outside() -> Pixels:
    picture = tissue(0)
    picture[2, 3:6] = 200
    return picture


def _gone(dataset: Dataset) -> Dataset:
    (dataset.folder / "masks/p0-0.png").unlink()
    return dataset


def _other_bytes(dataset: Dataset) -> Dataset:
    path = dataset.folder / "pictures/p0-0.png"
    path.write_bytes(path.read_bytes() + b" ")
    return dataset


def _no_picture(dataset: Dataset) -> Dataset:
    path = dataset.folder / "pictures/p0-0.png"
    path.write_bytes(b"no picture")
    return changed(dataset, "p0-0", picture_sha256=sha256_file(path))


def _faint(dataset: Dataset) -> Dataset:
    for item in dataset.items:
        dataset = repainted(dataset, item.id, picture=dataset.picture(item) // 5)
    return dataset


def _without(dataset: Dataset, keep: Callable[[Any], bool]) -> Dataset:
    write_items(dataset, [item for item in dataset.items if keep(item)])
    for item in dataset.items:
        if not keep(item):
            (dataset.folder / f"pictures/{item.id}.png").unlink()
            (dataset.folder / f"masks/{item.id}.png").unlink()
    return read_dataset(dataset.folder)


def _without_nerve(dataset: Dataset) -> Dataset:
    for item in dataset.of("test"):
        dataset = repainted(dataset, item.id, mask=np.where(dataset.mask(item) == 1, 1, 0).astype(np.uint8))
        dataset = changed(dataset, item.id, classes=("vessel",))
    return dataset


def _stray(dataset: Dataset) -> Dataset:
    (dataset.folder / "pictures/name.dcm").write_bytes(b"?")
    return dataset


def _label(value: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    mask = structures(0)
    mask[3, 3] = value
    return mask


COPY = np.clip(tissue(0)[:, ::-1] * 0.9, 0, 255).astype(np.uint8)

# rule: (the fault, what the line tells, other rules that the same fault breaks)
FAULTS: dict[str, tuple[Callable[[Dataset], Dataset], str, set[str]]] = {
    "no-patient": (lambda d: changed(d, "p0-0", patient=""), "p0-0: it has no patient", set()),
    "patient-leak": (lambda d: changed(d, "p0-1", split="test"), "p0-0, p0-1: the patient p0 is in", set()),
    "near-duplicate-leak": (
        lambda d: repainted(d, "p1-0", picture=COPY),
        "p0-0, p1-0: near-duplicates of the patients p0 and p1 in train and validation (the mirror image",
        set(),
    ),
    "file-missing": (_gone, "p0-0: masks/p0-0.png is not there", set()),
    "file-changed": (_other_bytes, "p0-0: SHA-256 of pictures/p0-0.png is", set()),
    "file-unreadable": (_no_picture, "p0-0: pictures/p0-0.png cannot be read", set()),
    "size-mismatch": (
        lambda d: repainted(d, "p0-0", mask=structures(0)[:-1]),
        "p0-0: its mask is 96x95 px, but its picture 96x96 px",
        set(),
    ),
    "unknown-label": (lambda d: repainted(d, "p0-0", mask=_label(9)), "p0-0: its mask holds label 9", set()),
    "classes-wrong": (
        lambda d: changed(d, "p0-0", classes=("nerve",)),
        "p0-0: its mask holds vessel, nerve, the manifest says nerve",
        set(),
    ),
    "one-class-mask": (
        lambda d: repainted(d, "p0-0", mask=np.full((SIDE, SIDE), 2, np.uint8)),
        "p0-0: its mask is all nerve",
        {"classes-wrong"},
    ),
    "blank-picture": (
        lambda d: repainted(d, "p0-0", picture=np.zeros((SIDE, SIDE), np.uint8)),
        "p0-0: its picture is all of level 0",
        set(),
    ),
    "outside-lit": (lambda d: repainted(d, "p0-0", picture=_lit_outside()), "p0-0: 3 pixels outside", set()),
    "burnt-in": (
        lambda d: changed(d, "p0-0", facts={"region": REGION, "burnt_in_text": "yes"}),
        "p0-0: its DICOM header says",
        set(),
    ),
    "text-unblanked": (
        lambda d: changed(repainted(d, "p0-0", picture=_lettered()), "p0-0", facts={}),
        "p0-0: marks like text in",
        set(),
    ),
    "text-like": (lambda d: repainted(d, "p0-0", picture=_lettered()), "p0-0: marks like text in", set()),
    "duplicate": (
        lambda d: repainted(d, "p3-1", picture=COPY[:, ::-1].copy()),
        "p0-0, p3-1: near-duplicates of the patients p0 and p3 in train (correlation",
        set(),
    ),
    "empty-mask": (
        lambda d: changed(repainted(d, "p0-0", mask=np.zeros((SIDE, SIDE), np.uint8)), "p0-0", classes=()),
        "p0-0: its mask is all background",
        set(),
    ),
    "flat-picture": (lambda d: repainted(d, "p0-0", picture=tissue(0) // 12), "p0-0: its grey levels run", set()),
    "saturated-picture": (
        lambda d: repainted(d, "p0-0", picture=cv2.multiply(tissue(0), 3)),
        "of its pixels are at level 255",
        set(),
    ),
    "narrow-levels": (_faint, "grey levels run from", set()),
    "class-absent": (_without_nerve, "no item of test holds nerve", set()),
    "few-patients": (lambda d: _without(d, lambda item: item.patient != "p2"), "test has 2", set()),
    "split-empty": (lambda d: _without(d, lambda item: item.split != "test"), "test has no items", set()),
    "unsplit": (lambda d: changed(d, "p0-0", split=None), "1 of 18 items have no split", set()),
    "stray-file": (_stray, "1 files in pictures belong to no item, as 'name.dcm'", set()),
}


def test_there_is_a_fault_for_every_rule() -> None:
    assert set(FAULTS) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.usefixtures("here")
def test_a_rule_sees_its_fault_and_no_other_does(sound: Dataset, rule: str) -> None:
    plant, told, others = FAULTS[rule]
    result = audit(plant(sound))
    lines = [finding.line for finding in result.findings if finding.rule == rule]
    assert any(told in line for line in lines), [finding.line for finding in result.findings]
    assert set(result.by_rule()) == {rule} | others
    assert result.passed == (RULES[rule].severity == "warning" and not others)
    assert all("\n" not in line for line in lines)


@pytest.mark.usefixtures("here")
def test_an_accepted_rule_is_told_but_does_not_fail(sound: Dataset) -> None:
    dataset = repainted(sound, "p0-0", picture=_lit_outside())
    result = audit(dataset, accept=["outside-lit"])
    assert result.passed
    assert [finding.severity for finding in result.findings] == ["warning"]
    with pytest.raises(ConfigError, match="did you mean 'outside-lit'"):
        audit(dataset, accept=["outside-light"])


@pytest.mark.usefixtures("here")
def test_pictures_of_a_cine_are_alike_unless_a_split_parts_them(sound: Dataset) -> None:
    dataset = repainted(sound, "p0-1", picture=tissue(0))
    for id in ("p0-0", "p0-1"):
        dataset = changed(dataset, id, cine="c0")
    assert audit(dataset).findings == ()
    parted = audit(changed(dataset, "p0-1", split="test"))
    assert set(parted.by_rule()) == {"patient-leak", "near-duplicate-leak"}


@pytest.mark.usefixtures("here")
def test_copies_within_a_split_hide_no_leak(sound: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAIRS", 3)
    dataset = sound
    for item in dataset.of("train"):
        dataset = repainted(dataset, item.id, picture=tissue(0))
    dataset = repainted(dataset, "p8-1", picture=tissue(0))
    found = audit(dataset)
    assert not found.passed
    assert any("p8-1" in finding.items for finding in found.by_rule()["near-duplicate-leak"])
    assert "only the first 3 pairs" in found.by_rule()["duplicate"][0].text


def test_many_cores_do_not_take_all_memory(sound: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def decode_all(function: Callable[[Any], Any], jobs: Iterable[Any], workers: int) -> Iterator[tuple[Any, Any]]:
        asked.append(workers)
        return ((job, function(job)) for job in jobs)

    monkeypatch.setattr(module, "decode_all", decode_all)
    for cores, workers in ((64, MOST_WORKERS), (2, 2)):
        monkeypatch.setattr(decoder, "usable_cores", lambda cores=cores: cores)
        audit(sound)
        assert asked.pop() == workers


@pytest.mark.slow
def test_ten_thousand_items_take_less_than_a_gigabyte(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set", patients=1000, each=10)
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from edge3vt.data.audit import audit; from edge3vt.data.dataset import read_dataset\n"
        "from edge3vt.data.decoder import MOST_WORKERS\n"
        "result = audit(read_dataset(Path(sys.argv[1])), workers=2)\n"
        "own, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))\n"
        "print(result.items, result.passed, own + MOST_WORKERS * child)"
    )
    command = [sys.executable, "-c", script, str(dataset.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    items, passed, peak_kib = done.stdout.split()
    assert (items, passed) == ("10000", "True")
    assert int(peak_kib) * 1024 < 1e9
