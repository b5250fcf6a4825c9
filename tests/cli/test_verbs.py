"""The verbs as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest

from edge3vt.cli.main import app, main

ROOT = Path(__file__).parents[2]
VERBS = [command.name or "" for command in app.registered_commands]


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    return int(stopped.value.code or 0), capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example_and_stands_in_the_readme(
    capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    code, text = called(capsys, verb, "--help")
    assert code == 0
    assert "Example: edge3vt" in text
    assert "--json" in text
    assert f"`edge3vt {verb}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_build_verify_and_run_offline(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    engine, video = tmp_path / "engine", tmp_path / "out.mp4"
    few = tmp_path / "few.toml"  # of the fifteen that the recipe asks for
    few.write_text('schema = 1\nname = "few"\nsource = "phantom"\nseed = 5_000_000\ncount = 4\n')
    code, text = called(
        capsys, "build", "cpu-int8", "--set", f"golden={few}", "--set", "name=few", "-o", engine, "--json"
    )
    assert code == 0
    built = json.loads(text)
    assert built["passed"]
    assert built["manifest"]["recipe"]["precision"] == "int8"

    code, text = called(capsys, "verify", engine, "--json")
    assert code == 0
    report = json.loads(text)["report"]
    assert report["agreement"] > 0.99

    source = "phantom://6100000?seconds=1&scenes=1&width=320&height=240&rate=20"
    code, text = called(capsys, "run", source, video, "--offline", "--engine", engine, "--json")
    assert code == 0
    document = json.loads(text)
    assert (document["verb"], document["schema"], document["passed"]) == ("run", 1, True)
    assert document["stream"]["frames"] == document["stream"]["on_time"] == 20
    assert (document["engine"]["name"], document["engine"]["sha256"]) == ("few", built["manifest"]["chain"]["engine"])
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 20


def test_the_asset_record_names_the_files_that_ship() -> None:
    from edge3vt.core.digest import sha256_file

    for folder in (ROOT / "edge3vt" / "assets").iterdir():
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        assert record["files"]
        for name, expected in record["files"].items():
            assert sha256_file(folder / name) == expected
        assert not [name for name in record["real_negatives"] if "3VV" in name or "pat2" in name]
