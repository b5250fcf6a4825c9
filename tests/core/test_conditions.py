from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edge3vt.core.conditions import Conditions, conditions, obstacles
from edge3vt.core.jetson import Jetson
from edge3vt.core.nvml import Card

ORIN = Jetson("NVIDIA Jetson Orin Nano", "36.4.3", "MAXN_SUPER")
CARD = Card("RTX A2000", "8.6", "570.86", 562, 2100, 61, ())


def tree(root: Path, **files: object) -> Path:
    """A sysfs of an Orin with locked clocks; ``files`` replaces contents by the path's last words, None removes."""
    contents: dict[str, object] = {
        "sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq": 1510400,
        "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": 1510400,
        "sys/devices/system/cpu/cpufreq/policy4/scaling_min_freq": 1510400,
        "sys/devices/system/cpu/cpufreq/policy4/scaling_max_freq": 1510400,
        "sys/class/devfreq/17000000.gpu/min_freq": 1020000000,
        "sys/class/devfreq/17000000.gpu/max_freq": 1020000000,
        "sys/class/devfreq/17000000.gpu/cur_freq": 1020000000,
        "sys/class/devfreq/15340000.vic/min_freq": 115200000,
        "sys/class/devfreq/15340000.vic/max_freq": 729600000,
        "sys/class/thermal/thermal_zone0/temp": 51250,
        "sys/class/thermal/thermal_zone1/temp": 62500,
        "sys/class/thermal/thermal_zone2/temp": -256000,
        "sys/class/thermal/cooling_device0/type": "pwm-fan",
        "sys/class/thermal/cooling_device0/cur_state": 2,
        "sys/class/thermal/cooling_device1/type": "gpu-throttle-alert",
        "sys/class/thermal/cooling_device1/cur_state": 0,
        "sys/class/hwmon/hwmon3/oc1_event_cnt": 0,
        "sys/class/hwmon/hwmon3/oc3_event_cnt": 3,
    }
    for words, content in files.items():
        (path,) = [path for path in contents if path.replace(".", "_").replace("/", "_").endswith(words)]
        contents[path] = content
    for path, content in contents.items():
        if content is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f"{content}\n")
    return root


def test_a_jetson_with_locked_clocks_stands_against_nothing(tmp_path: Path) -> None:
    found = conditions(ORIN, None, tree(tmp_path))
    assert found == Conditions(True, True, 1020, 62.5, False, (), 3)
    assert obstacles(found, gpu=True) == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"gpu_min_freq": 306000000}, "the GPU's clocks are not locked"),
        ({"gpu_min_freq": None}, "the GPU's clocks are unknown"),
        ({"policy4_scaling_min_freq": 729600}, "the CPU's clocks are not locked"),
        ({"policy4_scaling_max_freq": "<unknown>"}, "the CPU's clocks are unknown"),
        ({"cooling_device1_cur_state": 1}, "throttled: gpu-throttle-alert"),
        ({"cooling_device1_cur_state": None}, "whether the GPU is throttled is unknown"),
    ],
)
def test_each_obstacle_is_seen_and_unknown_is_one(tmp_path: Path, files: dict[str, object], expected: str) -> None:
    assert obstacles(conditions(ORIN, None, tree(tmp_path, **files)), gpu=True) == (expected,)


def test_the_gpu_of_thor_has_another_name(tmp_path: Path) -> None:
    root = tree(tmp_path, gpu_min_freq=306000000)
    (root / "sys/class/devfreq/17000000.gpu").rename(root / "sys/class/devfreq/gpu-gpc-0")
    assert conditions(ORIN, None, root).gpu_locked is False


def test_of_a_machine_that_tells_nothing_all_is_unknown(tmp_path: Path) -> None:
    for board in (ORIN, None):
        found = conditions(board, None, tmp_path)
        assert found == Conditions(None, None, None, None, None, (), None)
        assert len(obstacles(found, gpu=True)) == 3
        assert obstacles(found, gpu=False) == ("the CPU's clocks are unknown",)


def test_a_card_does_not_tell_whether_its_clocks_are_locked(tmp_path: Path) -> None:
    found = conditions(None, CARD, tree(tmp_path))
    assert (found.cpu_locked, found.gpu_locked, found.gpu_clock_mhz, found.slowed) == (True, None, 562, False)
    assert obstacles(found, gpu=True) == ("the GPU's clocks are unknown",)
    assert found.temperature_c == 62.5
    hot = dataclasses.replace(CARD, temperature_c=88, slowed=("thermal limit (hardware)",))
    found = conditions(None, hot, tree(tmp_path))
    assert found.temperature_c == 88
    assert "throttled: thermal limit (hardware)" in obstacles(found, gpu=True)


def test_this_machine_has_conditions() -> None:
    assert isinstance(conditions(None, None), Conditions)
