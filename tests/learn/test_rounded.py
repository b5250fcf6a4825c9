"""A student under the rounding of INT8: as the exported one will round, and nearer to FP32 after a short fine-tune."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.qdq import insert, layers
from edge3vt.calibrate.reference import ReferenceSession
from edge3vt.calibrate.table import CalibrationTable, TensorRange
from edge3vt.core.digest import sha256_bytes, sha256_file
from edge3vt.core.documents import write_json
from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.core.spec import ModelSpec
from edge3vt.learn import rounded as module
from edge3vt.learn.export import to_onnx
from edge3vt.learn.networks import build
from edge3vt.learn.recipe import Quantise, Recipe, Schedule
from edge3vt.learn.rounded import Rounded
from edge3vt.learn.student import Student
from edge3vt.learn.train import WEIGHTS, run_recipe
from edge3vt.learn.weights import load_weights
from tests.learn.squares import CLASSES, make_squares, recipe, square

SIZE = 64
FLAVOUR = "tensorrt-fp32"
COARSE = 32.0
"""How many times too wide the ranges are, as outliers of a calibration set make them: 4 steps are left of 127."""


@contextmanager
def bar(label: str) -> Iterator[Any]:
    yield lambda done, total: None


def pictures(first: int, count: int = 6) -> list[np.ndarray]:
    return [np.ascontiguousarray(square(first + n)[0][16:80, 8:72]) for n in range(count)]


def answers(data: bytes, spec: ModelSpec, seen: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    session = ReferenceSession(data, spec)
    logits, views = [], []
    for picture in seen:
        found, view = np.zeros(spec.logits_shape, np.float32), np.zeros((1, 1), np.float32)
        session.run(picture[None, None], found, view)
        logits.append(found)
        views.append(view)
    return np.concatenate(logits), np.concatenate(views)


def made(name: str) -> tuple[Student, ModelSpec, bytes, CalibrationTable]:
    torch.manual_seed(0)
    model = build(name, len(CLASSES)).eval()
    assert isinstance(model, Student)
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):  # factors of both signs, which move into the weights
            torch.nn.init.normal_(part.weight)
            part.running_var.uniform_(0.5, 2)
    spec = ModelSpec(1, "student", "0", CLASSES, SIZE, SIZE, model.stride, True, True, "trained on nothing")
    data = to_onnx(model, spec)
    return model, spec, data, observe(data, spec, pictures(0), set_name="test")


@pytest.mark.parametrize("name", ["student-s", "student-s-half"])
@pytest.mark.parametrize("keep_float", [(), ("stage0.0", "skip1", "view", "smooth1")])
def test_it_rounds_as_the_exported_model_will(name: str, keep_float: tuple[str, ...]) -> None:
    model, spec, data, table = made(name)
    seen = pictures(20)
    expected, view = answers(insert(data, table, FLAVOUR, keep_float), spec, seen)
    exact, _ = answers(data, spec, seen)
    net = Rounded(model, table.ranges, keep_float).eval()
    assert net.layers == list(dict.fromkeys(net.layers))
    assert set(net.layers) == set(layers(data, FLAVOUR))
    with torch.inference_mode():
        found, called = net(torch.from_numpy(np.stack(seen))[:, None])
    gap = np.abs(expected - exact).mean()
    assert np.abs(found.numpy() - expected).mean() < 0.1 * gap  # a value on an edge may round to either side
    assert np.abs(called.numpy() - view).mean() < 0.02
    wrong = Rounded(model, table.ranges, (*keep_float, "stage1.0")).eval()
    with torch.inference_mode():
        assert np.abs(wrong(torch.from_numpy(np.stack(seen))[:, None])[0].numpy() - expected).mean() > 0.1 * gap


@dataclass
class Trained:
    """A student in FP32, its export, and a table whose ranges are COARSE times too wide."""

    folder: Path
    stills: Path
    spec: ModelSpec
    exported: bytes
    table: CalibrationTable

    def fine_tune(self, name: str) -> float:
        """The mean difference of the fine-tuned INT8 model's logits to those of FP32 as it was, on other pictures."""
        asked = self.asked()
        run_recipe(asked, self.folder / name, bar, resume=False, minutes=None)
        return self.gap(self.folder / name / WEIGHTS)

    def asked(self, **changes: Any) -> Recipe:
        schedule = Schedule(steps=60, every=60, warmup=5, batch=8, cooldown=0.5, learning_rate=5e-4)
        wanted = {
            "init": str(self.folder / "fp32"),
            "quantise": Quantise(str(self.folder / "table.json")),
            "schedule": schedule,
        }
        return recipe(self.stills, **(wanted | changes))

    def gap(self, weights: Path) -> float:
        held = load_weights(weights)
        assert isinstance(held.model, Student)
        spec = replace(self.spec, name=held.spec.name)
        data = to_onnx(held.model, spec)
        int8 = insert(data, replace(self.table, model_sha256=sha256_bytes(data)), FLAVOUR)
        seen = pictures(100, 12)
        return float(np.abs(answers(int8, spec, seen)[0] - answers(self.exported, self.spec, seen)[0]).mean())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("rounded")
    stills = make_squares(folder / "stills", 32)
    asked = recipe(stills, schedule=Schedule(steps=80, every=80, warmup=5, batch=8, cooldown=0.5))
    run_recipe(asked, folder / "fp32", bar, resume=False, minutes=None)
    held = load_weights(folder / "fp32" / WEIGHTS)
    assert isinstance(held.model, Student)
    exported = to_onnx(held.model, held.spec, sha256_file(folder / "fp32" / WEIGHTS))
    table = observe(exported, held.spec, pictures(0), set_name="test")
    wide = {n: r if n == "stem" else TensorRange(COARSE * r.min, COARSE * r.max) for n, r in table.ranges.items()}
    table = replace(table, ranges=wide)
    write_json(table, folder / "table.json")
    return Trained(folder, stills, held.spec, exported, table)


def test_a_short_fine_tune_brings_int8_nearer_to_fp32_and_without_rounding_it_does_not(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = trained.gap(trained.folder / "fp32" / WEIGHTS)
    tuned = trained.fine_tune("int8")
    assert tuned < 0.8 * before
    monkeypatch.setattr(module, "_fake", lambda values, *_: values)  # planted: nothing is rounded
    assert trained.fine_tune("planted") > 0.8 * before


def test_what_cannot_be_rounded_is_told(trained: Trained) -> None:
    ranges = trained.table.ranges
    with pytest.raises(ConfigError, match="only students"):
        Rounded(build("unet-half", 3), ranges)
    with pytest.raises(ConfigError, match="with branches"):
        Rounded(build("student-s-rep", 3), ranges)
    with pytest.raises(ConfigError, match=r"lacks tensor skip1"):
        Rounded(build("student-s", 3), {name: span for name, span in ranges.items() if name != "skip1"})
    with pytest.raises(ConfigError, match="no layer to keep in floats is named 'stage9'"):
        Rounded(build("student-s", 3), ranges, ("stage9",))
    for changes in ({"init": None}, {"teacher": "x"}):
        with pytest.raises(ConfigError, match="needs init, whose weights are its only teacher"):
            trained.asked(**changes)
    foreign = trained.folder / "foreign.json"
    write_json(replace(trained.table, model_sha256="0" * 64), foreign)
    with pytest.raises(ArtifactError, match="of another model"):
        run_recipe(
            trained.asked(quantise=Quantise(str(foreign))), trained.folder / "no", bar, resume=False, minutes=None
        )


def test_the_teacher_and_its_statistics_stay_as_they_were(trained: Trained) -> None:
    model = load_weights(trained.folder / "fp32" / WEIGHTS).model
    net = Rounded(model, trained.table.ranges).train()
    pixels = torch.from_numpy(np.stack(pictures(0)))[:, None].float()
    exact = net.taught(pixels)[0]
    statistics = {name: value.clone() for name, value in model.state_dict().items() if "running" in name}
    sum(answer.sum() for answer in net(pixels)).backward()
    with torch.no_grad():
        for parameter in net.parameters():
            assert parameter.grad is not None
            parameter.add_(1.0)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in statistics.items())
    assert torch.equal(net.taught(pixels)[0], exact)
    assert not any("teacher" in name for name in net.state_dict())
