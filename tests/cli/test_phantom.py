"""``edge3vt phantom``: sets of phantoms, whole, in parts, resumed, and refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3vt.cli import cases
from edge3vt.cli.cases import Case, write_case
from edge3vt.cli.main import main
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.data.dataset import Dataset, read_dataset
from edge3vt.phantom.contour import filled

SMALL = ("--size", "128x112", "--seed", "40")


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["phantom", *(str(a) for a in arguments)])
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def made(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: object) -> Dataset:
    code, out, err = called(capsys, folder, *SMALL, *arguments, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["verb"], document["schema"], document["passed"]) == ("phantom", 1, True)
    return read_dataset(folder)


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pool, so that a test is quick and can break what a worker calls."""
    monkeypatch.setattr(cases, "usable_cores", lambda: 1)


@pytest.mark.usefixtures("one_core")
def test_a_set_tells_the_truth_of_each_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    dataset = made(capsys, tmp_path / "set", "--cases", 8, "--weeks", "24-30", "--pictures", 2)
    assert dataset.classes == CLASS_NAMES
    assert len(dataset.items) == 16
    assert len({item.patient for item in dataset.items}) == 8
    views = [item for item in dataset.items if item.facts["view"] == "yes"]
    assert 4 <= len(views) <= 15
    for item in dataset.items:
        facts, mask = item.facts, dataset.mask(item)
        assert dataset.picture(item).shape == mask.shape == (112, 128)
        assert (facts["view"] == "yes") == bool(mask.any()) == ("true_trachea_mm" in facts)
        assert 24 <= float(facts["weeks"]) <= 30
        assert facts["region"] == "0,0,128,112"
        assert facts["site"] == "A"
        assert int(facts["seed"]) in range(40, 48)
        outlined = json.loads((dataset.folder / "contours" / f"{item.id}.json").read_text())["outlines"]
        again = np.zeros_like(mask)
        for name, outlines in outlined.items():
            again[filled(tuple(np.array(o) for o in outlines), 128, 112)] = CLASS_NAMES.index(name)
        assert (again != mask).sum() <= 0.03 * max((mask > 0).sum(), 1)


@pytest.mark.usefixtures("one_core")
def test_parts_hold_the_very_files_of_the_whole_and_merge_into_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ("--cases", 5, "--annotator", 2)
    made(capsys, tmp_path / "whole", *options)
    parts = [tmp_path / f"part{i}" for i in (1, 2, 3)]
    for i, part in enumerate(parts, 1):
        made(capsys, part, *options, "--shard", f"{i}/3")
    whole = files(tmp_path / "whole")
    union = {name: digest for part in parts for name, digest in files(part).items() if name != "dataset.json"}
    assert union == {name: digest for name, digest in whole.items() if name != "dataset.json"}

    merging = [argument for part in reversed(parts) for argument in ("--merge", part)]
    assert called(capsys, tmp_path / "again", *merging, "--cases", 5)[0] == 0
    assert files(tmp_path / "again") == whole

    code, _, err = called(capsys, tmp_path / "lack", "--merge", parts[0], "--merge", parts[2], "--cases", 5)
    assert (code, "expected 5" in err) == (2, True)
    code, _, err = called(capsys, tmp_path / "twice", "--merge", parts[0], "--merge", parts[0])
    assert (code, "in two parts" in err) == (2, True)
    made(capsys, tmp_path / "other", "--cases", 1, "--site", "B")
    assert called(capsys, tmp_path / "mixed", "--merge", parts[0], "--merge", tmp_path / "other")[0] == 2
    made(capsys, tmp_path / "longer", "--cases", 6, "--shard", "2/3")
    assert called(capsys, tmp_path / "mixed", "--merge", parts[0], "--merge", tmp_path / "longer")[0] == 2
    picture = next((parts[1] / "pictures").iterdir())
    picture.write_bytes(picture.read_bytes()[:-9])
    code, _, err = called(capsys, tmp_path / "broken", *merging)
    assert (code, picture.name in err) == (2, True)
    assert not (tmp_path / "lack").exists()
    assert not (tmp_path / "twice").exists()


def test_all_cores_write_what_one_core_writes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "usable_cores", lambda: 2)
    made(capsys, tmp_path / "pool", "--cases", 3)
    monkeypatch.setattr(cases, "usable_cores", lambda: 1)
    made(capsys, tmp_path / "one", "--cases", 3)
    assert files(tmp_path / "pool") == files(tmp_path / "one")


@pytest.mark.usefixtures("one_core")
def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not_been(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[int] = []

    def stopping(case: Case) -> Any:
        if len(rendered) == 2:
            raise KeyboardInterrupt
        rendered.append(case.seed)
        return write_case(case)

    monkeypatch.setattr(cases, "write_case", stopping)
    assert called(capsys, tmp_path / "set", *SMALL, "--cases", 4)[0] == 130
    assert not (tmp_path / "set" / "dataset.json").exists()
    code, _, err = called(capsys, tmp_path / "set", *SMALL, "--cases", 5)
    assert (code, "begun with cases '4', not '5'" in err) == (2, True)

    def going_on(case: Case) -> Any:
        rendered.append(case.seed)
        return write_case(case)

    monkeypatch.setattr(cases, "write_case", going_on)
    made(capsys, tmp_path / "set", "--cases", 4)
    assert rendered == [40, 41, 42, 43]
    made(capsys, tmp_path / "straight", "--cases", 4)
    assert files(tmp_path / "set") == files(tmp_path / "straight")


@pytest.mark.usefixtures("one_core")
def test_a_run_that_fails_at_once_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "write_item", lambda *_, **__: 1 / 0)
    assert called(capsys, tmp_path / "set", *SMALL, "--cases", 1)[0] == 3
    assert not (tmp_path / "set").exists()


@pytest.mark.usefixtures("one_core")
def test_cines_are_pictures_in_order_and_some_lose_the_view(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    dataset = made(capsys, tmp_path / "set", "--cases", 4, "--views", 1, "--cines", 1, "--rate", 6)
    assert len(dataset.items) == 24
    cines = {item.cine for item in dataset.items}
    assert len(cines) == 4
    for cine in cines:
        items = [item for item in dataset.items if item.cine == cine]
        assert [item.frame for item in items] == list(range(6))
        assert [item.facts["seconds"] for item in items] == pytest.approx([i / 6 for i in range(6)], abs=1e-6)
        assert len({item.picture_sha256 for item in items}) == 6
        held = {item.facts["view"] for item in items}
        assert held == ({"yes", "no"} if items[0].facts["kind"] == "sweep" else {"yes"})
    assert {item.facts["kind"] for item in dataset.items} == {"view", "sweep"}


@pytest.mark.usefixtures("one_core")
def test_hands_change_the_depth_in_some_cines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    dataset = made(capsys, tmp_path / "set", "--cases", 10, "--cines", 1, "--rate", 4)
    scales: dict[str | None, set[float | None]] = {}
    for item in dataset.items:
        scales.setdefault(item.cine, set()).add(item.mm_per_px)
    changed = sum(len(found) > 1 for found in scales.values())
    assert 0 < changed < len(scales)


def test_unlabelled_cines_hold_no_masks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    dataset = made(capsys, tmp_path / "set", "--cases", 1, "--cines", 0.2, "--rate", 10, "--unlabelled")
    assert [item.mask_sha256 for item in dataset.items] == [None, None]
    assert sorted(path.name for path in dataset.folder.iterdir()) == ["dataset.json", "pictures"]


@pytest.mark.usefixtures("one_core")
def test_an_annotator_draws_the_masks_and_the_exact_ones_are_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    exact = made(capsys, tmp_path / "exact", "--cases", 3, "--views", 1, "--size", "256")
    drawn = made(capsys, tmp_path / "drawn", "--cases", 3, "--views", 1, "--size", "256", "--annotator", 2)
    for a, b in zip(exact.items, drawn.items, strict=True):
        assert a.picture_sha256 == b.picture_sha256
        assert (exact.folder / "masks" / f"{a.id}.png").read_bytes() == (
            drawn.folder / "truth" / f"{a.id}.png"
        ).read_bytes()
        truth, mask = exact.mask(a), drawn.mask(b)
        assert (truth != mask).any()
        both = ((truth > 0) & (mask > 0)).sum()
        assert 2 * both / ((truth > 0).sum() + (mask > 0).sum()) > 0.7
        assert b.facts["annotator"] in ("1", "2")


@pytest.mark.usefixtures("one_core")
def test_the_screen_around_the_region_is_blanked_unless_it_is_to_be_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ("--cases", 2, "--size", "520x500")
    blanked, kept = (
        made(capsys, tmp_path / name, *options, *more) for name, more in (("a", ()), ("b", ("--keep-outside",)))
    )
    for item in blanked.items:
        x0, y0, x1, y1 = (int(part) for part in str(item.facts["region"]).split(","))
        a, b = blanked.picture(item), kept.picture(item)
        np.testing.assert_array_equal(a[y0:y1, x0:x1], b[y0:y1, x0:x1])
        for picture, lit in ((a, False), (b, True)):
            around = picture.copy()
            around[y0:y1, x0:x1] = 0
            assert around.any() == lit


@pytest.mark.usefixtures("one_core")
def test_the_options_choose_site_probe_and_arm(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sector = made(capsys, tmp_path / "sector", "--cases", 2, "--site", "B", "--probe", "sector", "--views", 0)
    assert {(i.facts["site"], i.facts["probe"], i.facts["view"]) for i in sector.items} == {("B", "sector", "no")}
    arm = made(capsys, tmp_path / "arm", "--cases", 2, "--arm")
    assert arm.classes == ("background", "nerve", "vessel")
    for item in arm.items:
        assert item.facts["shows"] == "arm"
        assert set(item.classes) == {"nerve", "vessel"}


@pytest.mark.usefixtures("one_core")
def test_an_existing_set_is_kept_unless_it_may_be_overwritten(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made(capsys, tmp_path / "set", "--cases", 2)
    before = files(tmp_path / "set")
    code, _, err = called(capsys, tmp_path / "set", *SMALL, "--cases", 1)
    assert (code, "--overwrite" in err) == (2, True)
    assert files(tmp_path / "set") == before
    (tmp_path / "set" / "notes.txt").write_text("mine")
    code, _, err = called(capsys, tmp_path / "set", *SMALL, "--cases", 1, "--overwrite")
    assert (code, "notes.txt" in err) == (2, True)  # it is not ours to remove
    assert before.items() < files(tmp_path / "set").items()
    (tmp_path / "set" / "notes.txt").unlink()
    assert len(made(capsys, tmp_path / "set", "--cases", 1, "--overwrite").items) == 1
    assert len(files(tmp_path / "set")) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--cases"),
        (("--cases", 0), "cases"),
        (("--cases", 2, "--size", "20x20"), "--size 20x20"),
        (("--cases", 2, "--size", "tall"), "--size tall"),
        (("--cases", 2, "--weeks", "12-20"), "18-36"),
        (("--cases", 2, "--weeks", "30-20"), "--weeks 30-20"),
        (("--cases", 2, "--shard", "3/2"), "--shard 3/2"),
        (("--cases", 2, "--shard", "0/2"), "--shard 0/2"),
        (("--cases", 2, "--shard", "3/3"), "empty"),
        (("--cases", 2, "--cines", 1, "--rate", 0), "at 0 Hz"),
        (("--cases", 2, "--cines", 1000), "1000 s"),
        (("--cases", 2, "--views", 2), "--views 2"),
        (("--cases", 2, "--views", "nan"), "--views nan"),
        (("--cases", 2, "--cines", "nan"), "--cines"),
        (("--cases", 2, "--site", "C"), "site"),
        (("--cases", 2, "--arm", "--probe", "convex"), "linear"),
        (("--cases", 2, "--unlabelled", "--annotator", 1), "annotator"),
        (("--cases", 2, "--seed", -1), "seed"),
        (("--merge", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[object, ...], said: str
) -> None:
    code, out, err = called(capsys, tmp_path / "set", *arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert not (tmp_path / "set").exists()


def test_a_set_cannot_be_merged_into_a_part_of_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = called(capsys, tmp_path / "set", "--merge", tmp_path / "set", "--overwrite")
    assert (code, "one of the parts" in err) == (2, True)
