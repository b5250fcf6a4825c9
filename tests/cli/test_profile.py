"""``edge3vt profile`` as a user calls it: a screen is learnt once, and ``run`` takes its region from then on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge3vt.cli.main import main
from edge3vt.core.frame import Frame, Region
from edge3vt.phantom.cine import Scene
from edge3vt.picture.images import write_image
from edge3vt.stream.profile import chosen, overlap, read_profile

SEED, W, H = 1, 1024, 768


@pytest.fixture(scope="module")
def screens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a screen whose region nobody tells."""
    folder, scene = tmp_path_factory.mktemp("screens"), Scene(SEED, W, H, duration_s=1)
    for index in range(4):
        write_image(folder / f"{index}.png", scene.pixels(index / 4))
    return folder


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    code, out, err = called(capsys, "profile", *arguments, "--rate", 20, "--json")
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    assert (document["verb"], document["passed"]) == ("profile", True)
    return document


def test_a_screen_is_learnt_and_known_again(
    capsys: pytest.CaptureFixture[str], screens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge3vt.cli.profile.APART_NS", 0)
    out = tmp_path / "ward.toml"
    document = told(capsys, f"{screens}/", "-o", out)
    written, scene = read_profile(str(out)), Scene(SEED, W, H, duration_s=1)
    assert written.name == "ward"
    assert overlap(Region(*written.region), scene.region) > 0.8
    assert document["region_from"].startswith("found, confidence")
    assert document["profile"]["region"] == list(written.region)
    assert len(written.furniture) >= 3
    assert chosen([written], Frame(0, 0, scene.pixels(0.6))) is not None
    assert chosen([written], Frame(0, 0, Scene(3, W, H, duration_s=1).pixels(0.6))) is None
    code, _, err = called(capsys, "profile", f"{screens}/", "-o", out, "--rate", 20)
    assert code == 2
    assert "add --overwrite" in err
    told(capsys, f"{screens}/", "-o", out, "--region", "100,50,900,700", "--mm-per-px", "0.2", "--overwrite")
    again = read_profile(str(out))
    assert (again.region, again.mm_per_px) == ((100, 50, 900, 700), 0.2)


def test_what_the_source_tells_is_taken(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    uri = "test://speckle?seconds=1&width=320&height=240&region=20,10,300,200&mm_per_px=0.25"
    document = told(capsys, uri, "-o", tmp_path / "told.toml")
    assert document["region_from"] == "told by the source"
    assert document["profile"]["region"] == [20, 10, 300, 200]
    assert document["profile"]["mm_per_px"] == 0.25


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("-o", "ward.json"), "expected a name that ends in .toml"),
        (("-o", "ward.toml", "--region", "1,2,3"), "expected x0,y0,x1,y1"),
        (("-o", "ward.toml", "--region", "0,0,5000,100"), "outside its picture of 1024x768"),
        (("-o", "ward.toml", "--seconds", "0"), "expected a positive number"),
    ],
)
def test_what_is_refused(
    capsys: pytest.CaptureFixture[str],
    screens: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = called(capsys, "profile", f"{screens}/", "--rate", 20, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert line in err
    assert list(tmp_path.iterdir()) == []


def test_a_picture_without_a_sector_asks_for_the_region(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = called(capsys, "profile", "test://flat?seconds=1&width=320&height=240", "-o", tmp_path / "flat.toml")
    assert code == 2
    assert "give --region" in err
