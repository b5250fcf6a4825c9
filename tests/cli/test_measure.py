"""Measurement sinks by path and URI, and a run that fills one."""

from __future__ import annotations

import csv
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge3vt.cli.run import drive
from edge3vt.cli.uris import open_sink, open_source
from edge3vt.clinic import sheet
from edge3vt.clinic.sheet import Asked
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import SystemClock
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.images import write_image
from edge3vt.stream.lane import ThreadLane
from tests.clinic.drawn import SIZE, view


@pytest.mark.parametrize(
    ("uri", "path", "asked"),
    [
        ("out/w.csv", "out/w.csv", Asked()),
        ("w.JSON", "w.JSON", Asked()),
        ("file://out/w.csv", "out/w.csv", Asked()),
        ("measure://w.csv", "w.csv", Asked()),
        ("measure:///tmp/w.json?weeks=22.5&left=up&mm_per_px=0.12", "/tmp/w.json", Asked(22.5, "up", 0.12)),
    ],
)
def test_a_path_and_what_the_operator_knows(uri: str, path: str, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[Path, Asked]] = []
    monkeypatch.setattr(sheet, "MeasureSink", lambda path, asked, **_: found.append((path, asked)))
    open_sink(uri, overwrite=False, block=False)
    assert found == [(Path(path), asked)]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("measure://w.csv?weeks=old", "weeks is 'old', expected a gestational age in weeks"),
        ("measure://w.csv?weeks=2", "weeks is 2, expected a gestational age of 10 to 45"),
        ("measure://w.csv?left=north", "left is 'north', expected left, right, up or down"),
        ("measure://w.csv?left=", "left is '', expected left, right, up or down"),
        ("measure://w.csv?mm_per_px=0", "mm_per_px is 0, expected 0.005 to 2"),
        ("measure://w.csv?week=22", "unknown setting 'week'; did you mean 'weeks'"),
        ("measure://w.txt", "are written as .csv or .json"),
    ],
)
def test_what_is_refused_in_one_line(uri: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refusal:
        open_sink(uri, overwrite=False, block=False)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


class Told:
    """An engine that sees the drawn view in every picture."""

    spec = ModelSpec(1, "told", "1", CLASS_NAMES, SIZE, SIZE, 1, False, True, "")

    def run(self, pixels: Pixels, logits: Logits, view_logit: Logits | None = None) -> None:
        logits[0] = np.where(np.arange(6)[:, None, None] == view(), 8.0, -8.0)

    def close(self) -> None: ...


def test_a_run_writes_a_row_a_frame_and_the_cine(tmp_path: Path) -> None:
    pictures, out = tmp_path / "clip", tmp_path / "w.csv"
    for index in range(9):
        grey = np.random.default_rng(index).integers(40, 200, (SIZE, SIZE)).astype(np.uint8)
        write_image(pictures / f"{index:03d}.png", grey)
    clock = SystemClock()
    with closing(ThreadLane(Told)) as lane:
        source = open_source(f"{pictures}/", clock, paced=False)
        with open_sink(f"measure://{out}?weeks=22&left=right&mm_per_px=0.25", overwrite=False, block=True) as sink:
            drive(source, lane, [sink], clock, None)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == ["frame"] * 9 + ["cine"]
    assert [bool(row["not_counted"]) for row in rows[:9]] == [True, True, *[False] * 7]
    assert float(rows[-1]["pulmonary_artery_width"]) == pytest.approx(18 * 0.25, abs=0.1)
    assert (rows[-1]["unit"], rows[-1]["arches"], rows[-1]["arch_side"]) == ("mm", "V", "left")
    assert rows[-1]["pa_ao_frames"] == "7"
    with pytest.raises(ConfigError, match="--overwrite"):
        open_sink(str(out), overwrite=False, block=True)
