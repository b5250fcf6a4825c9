from __future__ import annotations

import dataclasses
import json

import pytest

from edge3vt.cli import doctor as module
from edge3vt.cli.doctor import Findings, RuntimeState, advice, doctor, examine
from edge3vt.cli.main import main
from edge3vt.core.conditions import Conditions
from edge3vt.core.jetson import Jetson
from edge3vt.core.machine import this_machine
from edge3vt.core.nvml import Card
from edge3vt.engine.device import Gpu
from tests.engine.fake_cuda import World, install

WORKS = RuntimeState("10.3.0", None, {"SM": "8.7"})
MISSING = RuntimeState(None, "cannot be imported here", {})
LOCKED = Conditions(True, True, 1020, 61.5, False, (), 0)
ORIN = Findings(
    machine=this_machine(),
    jetson=Jetson("NVIDIA Jetson Orin Nano", "36.4.3", "MAXN_SUPER"),
    card=None,
    gpu=Gpu("Orin", "8.7", 8, True, "12.6"),
    gpu_why=None,
    graphs=True,
    runtimes={"onnxruntime": WORKS, "openvino": MISSING, "tensorrt": WORKS},
    conditions=LOCKED,
)
CART = dataclasses.replace(ORIN, jetson=None, gpu=None, gpu_why="PyCUDA cannot be imported")


def changed(**conditions: object) -> Findings:
    return dataclasses.replace(ORIN, conditions=dataclasses.replace(LOCKED, **conditions))  # type: ignore[arg-type]


def test_a_jetson_in_order_needs_nothing() -> None:
    assert list(advice(ORIN)) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (dataclasses.replace(ORIN, runtimes=dict.fromkeys(ORIN.runtimes, MISSING)), "no runtime works"),
        (dataclasses.replace(ORIN, runtimes=ORIN.runtimes | {"tensorrt": MISSING}), "TensorRT is missing: see docs"),
        (dataclasses.replace(ORIN, gpu=None, gpu_why="no cuda.h"), r"CUDA is not usable from Python \(no cuda\.h\)"),
        (dataclasses.replace(ORIN, graphs=False), "pip install cuda-bindings, and it becomes one CUDA graph"),
        (dataclasses.replace(ORIN, jetson=Jetson("Orin", "36.4.3", "15W")), "not in the highest power mode"),
        (dataclasses.replace(ORIN, jetson=Jetson("Orin", "36.4.3", None)), "not in the highest power mode"),
        (changed(gpu_locked=False), "lock the clocks: sudo jetson_clocks"),
        (changed(gpu_locked=None), "lock the clocks: sudo jetson_clocks"),
        (changed(slowed=True, causes=("gpu-throttle-alert",)), r"held down \(gpu-throttle-alert\): cool it"),
        (changed(over_current=4), "4 over-current events since the start: the power supply is too weak"),
        (dataclasses.replace(CART, conditions=dataclasses.replace(LOCKED, cpu_locked=None)), "sudo cpupower"),
        (dataclasses.replace(CART, card=Card("RTX", "8.6", "570", 500, 2100, 50, ())), "nvidia-smi -lgc CLOCK"),
    ],
)
def test_each_thing_amiss_is_told_with_what_to_do(found: Findings, expected: str) -> None:
    with pytest.raises(AssertionError, match=expected):
        raise AssertionError("\n".join(advice(found)))


def test_a_machine_without_nvidia_hears_nothing_of_it() -> None:
    assert not [line for line in advice(CART) if "CUDA" in line or "TensorRT" in line]


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", *arguments])
    return int(stopped.value.code or 0), capsys.readouterr().out


def test_this_machine_passes_and_says_all_in_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = called(capsys, "--json")
    document = json.loads(text)
    assert (code, document["verb"], document["passed"]) == (0, "doctor", True)
    assert document["runtimes"]["onnxruntime"]["version"]
    assert document["runtimes"]["onnxruntime"]["target"]["instruction sets"] == " ".join(this_machine().cpu_features)
    code, text = called(capsys)
    assert code == 0
    for part in ("machine", "CUDA", "onnxruntime", "clocks", "temperature", "measuring"):
        assert f"\n{part}" in f"\n{text}"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ORIN, 0),
        (changed(gpu_locked=False), 1),
        (changed(gpu_locked=None), 1),
        (changed(slowed=None), 1),
        (changed(slowed=True, causes=("gpu-throttle-alert",)), 1),
        (dataclasses.replace(CART, conditions=dataclasses.replace(LOCKED, gpu_locked=None)), 0),
        (dataclasses.replace(CART, runtimes=dict.fromkeys(ORIN.runtimes, MISSING)), 1),
    ],
)
def test_a_measurement_wants_known_locked_clocks_and_no_throttling(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: Findings, expected: int
) -> None:
    monkeypatch.setattr(module, "examine", lambda: found)
    assert doctor(measure=True, json=False) == expected
    works = found.runtimes["onnxruntime"].version is not None
    assert ("nothing stands against it" in capsys.readouterr().out) == (expected == 0 or not works)
    assert doctor(measure=False, json=True) == (0 if works else 1)
    json.loads(capsys.readouterr().out)


def test_a_gpu_is_examined_and_unknown_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(World(), monkeypatch)
    found = examine()
    assert found.gpu == ORIN.gpu
    monkeypatch.setattr(
        module, "examine", lambda: dataclasses.replace(found, conditions=Conditions(*[None] * 5, (), None))
    )
    doctor(measure=False, json=False)
    text = capsys.readouterr().out
    assert "CUDA         12.6: Orin, SM 8.7, 8 SMs" in text
    assert "CPU unknown, GPU unknown, unknown MHz" in text
    assert "throttled: unknown" in text
