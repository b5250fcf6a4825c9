from __future__ import annotations

import sys

import pytest

from edge3vt.core.errors import BackendMissingError
from edge3vt.core.jetson import Jetson
from edge3vt.core.machine import this_machine
from edge3vt.core.nvml import Card
from edge3vt.engine.device import Gpu, gpu
from edge3vt.engine.target import facts, gpu_facts
from tests.engine.fake_cuda import World, install

ORIN = Gpu("Orin", "8.7", 8, True, "12.6")
BOARD = Jetson("NVIDIA Jetson Orin Nano Developer Kit", "36.4.3", "MAXN_SUPER")


def test_a_cpu_is_its_instruction_sets() -> None:
    found = facts("openvino")
    assert found["instruction sets"].split() == list(this_machine().cpu_features)
    assert found.keys() == {"system", "instruction sets"}


def test_a_jetson_is_its_model_multiprocessors_l4t_and_power_mode() -> None:
    assert gpu_facts(ORIN, BOARD, None) == {
        "module": "NVIDIA Jetson Orin Nano Developer Kit",
        "SM": "8.7",
        "multiprocessors": "8",
        "L4T": "36.4.3",
        "power mode": "MAXN_SUPER",
    }


def test_a_card_is_its_name_sm_and_driver() -> None:
    card = Card("RTX A2000", "8.6", "570.86", None, None, None, None)
    found = gpu_facts(Gpu("NVIDIA RTX A2000", "8.6", 26, False, "12.8"), None, card)
    assert found == {"GPU": "NVIDIA RTX A2000", "SM": "8.6", "driver": "570.86"}


def test_what_cannot_be_read_is_unknown() -> None:
    assert gpu_facts(ORIN, None, None)["driver"] == "unknown"
    board = gpu_facts(ORIN, Jetson("NVIDIA Jetson Orin Nano", None, None), None)
    assert (board["L4T"], board["power mode"]) == ("unknown", "unknown")


def test_the_gpu_is_read_through_pycuda(monkeypatch: pytest.MonkeyPatch) -> None:
    install(World(), monkeypatch)
    assert gpu() == ORIN
    assert facts("tensorrt")["SM"] == "8.7"


def test_tensorrt_without_pycuda_has_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(BackendMissingError, match=r"PyCUDA cannot be imported here .*docs/jetson\.md"):
        facts("tensorrt")
