"""The referee as a user calls it, on a net whose own masks are the truth and of which one layer is planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.bench.holding import Candidate
from edge3vt.bench.referee import FLAVOURS, Referee, main
from edge3vt.calibrate.judge import answers_of, masks_of
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.table import CalibrationTable
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import ConfigError
from edge3vt.data.writer import DatasetWriter
from edge3vt.picture.images import read_image
from tests import nets
from tests.calibrate import graphs

SIZE, PLANTED = 64, "stage1.1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("referee")
    model = graphs.outlier(nets.student(SIZE), "stage1.0", PLANTED)
    (folder / "net.onnx").write_bytes(model)
    write_json(graphs.table(model, SIZE), folder / "t.json")
    pictures = nets.pictures(4, SIZE, seed=3)
    with DatasetWriter(folder / "set", "own", CLASS_NAMES, resume=False) as writer:
        for index, (picture, mask) in enumerate(zip(pictures, masks_of(model, nets.spec(SIZE), pictures), strict=True)):
            widths = {f"true_{name}_mm": 20.0 if index else 5.0 for name in CLASS_NAMES[1:]}
            facts: dict[str, float | str] = {"region": f"0,0,{SIZE},{SIZE}", **widths}
            shown = {"patient": f"p{index}", "source": "test", "mm_per_px": 1.0, "facts": facts}
            writer.add(f"i{index}", picture, mask, split="test", **shown)
    return folder


def judged(folder: Path, out: str, *options: str) -> tuple[int, dict[str, Candidate]]:
    code = main([*(str(folder / name) for name in ("net.onnx", "t.json", "set", out)), *options])
    record = read_json(Referee, folder / out / "referee.json")
    assert (record.passed, record.cases, record.size) == (code == 0, 4, SIZE)
    return code, {one.name: one for one in record.candidates}


def test_a_planted_layer_misses_the_limits_and_kept_in_floats_it_does_less_harm(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = judged(folder, "a")
    assert code == 1
    assert set(found) == {"fp16", *FLAVOURS}
    assert "MISSED alike" in capsys.readouterr().out
    structures = [name for name, one in found["fp16"].structures.items() if one.cases]
    for name in structures:
        fp16, int8 = found["fp16"].structures[name], found["cpu"].structures[name]
        assert fp16.fp32_dice == int8.fp32_dice == 1.0
        assert (fp16.dice or 0) > 0.95 > (int8.dice or 0)
        assert int8.loss == pytest.approx(100 * (1 - (int8.dice or 0)))
        assert int8.alike == pytest.approx(int8.dice)  # the truth is FP32's mask
    assert max(one.wide for one in found["cpu"].structures.values()) == 3
    assert "INT8 is not worth it here: too dear for" in found["cpu"].advice
    assert list((folder / "a" / "worst").glob("cpu-i*.png"))

    model, table = (folder / "net.onnx").read_bytes(), read_json(CalibrationTable, folder / "t.json")
    pictures = [read_image(path) for path in sorted((folder / "set" / "pictures").glob("*.png"))]
    exact = answers_of(model, nets.spec(SIZE), pictures)[1]
    for flavour, fused in (("cpu", True), ("tensorrt-fp16", False)):
        own = answers_of(insert(model, table, flavour), nets.spec(SIZE), pictures, fused=fused)[1]
        largest = max(abs(a - b) for a, b in zip(own, exact, strict=True))
        assert found[flavour].largest_view_difference == pytest.approx(largest, abs=1e-6)

    _, kept = judged(folder, "b", "--keep-float", f"cpu={PLANTED}")
    assert (kept["cpu"].keep_float, kept["tensorrt-fp32"].keep_float) == ((PLANTED,), ())
    assert kept["cpu"].onnx_sha256 != found["cpu"].onnx_sha256
    assert kept["tensorrt-fp32"] == found["tensorrt-fp32"]
    dice = [(kept["cpu"].structures[name].dice or 0, found["cpu"].structures[name].dice or 0) for name in structures]
    assert all(after > before for after, before in dice)


def test_what_makes_no_sense_is_refused(folder: Path, tmp_path: Path) -> None:
    paths = [str(folder / name) for name in ("net.onnx", "t.json", "set")]
    (tmp_path / "referee.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"referee\.json: exists already"):
        main([*paths, str(tmp_path)])
    with pytest.raises(ConfigError, match=r"--keep-float cp=a: expected FLAVOUR=LAYER,LAYER; did you mean 'cpu'"):
        main([*paths, str(tmp_path / "x"), "--keep-float", "cp=a"])
    with pytest.raises(ConfigError, match="no layer to keep in floats is named 'stage9'"):
        main([*paths, str(tmp_path / "x"), "--keep-float", "cpu=stage9"])
