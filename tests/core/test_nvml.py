from __future__ import annotations

from typing import Any

import pytest

from edge3vt.core.nvml import Card, card

UNKNOWN = 3  # NVML_ERROR_NOT_SUPPORTED


class Library:
    """libnvidia-ml of Python; what is None is not supported by the card."""

    def __init__(self, **changes: Any) -> None:
        self.open = 0
        self.said = {
            "nvmlDeviceGetName": b"NVIDIA RTX A2000",
            "nvmlSystemGetDriverVersion": b"570.86.10",
            "nvmlDeviceGetCudaComputeCapability": (8, 6),
            "nvmlDeviceGetClockInfo": 562,
            "nvmlDeviceGetMaxClockInfo": 2100,
            "nvmlDeviceGetTemperature": 61,
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x1,  # idle
        } | changes

    def nvmlInit_v2(self) -> int:
        self.open += 1
        return 0

    def nvmlShutdown(self) -> int:
        self.open -= 1
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: Any) -> int:
        return 0 if index == 0 else 2

    def __getattr__(self, name: str) -> Any:
        if name not in self.said:
            raise AttributeError(name)
        value = self.said[name]

        def call(*arguments: Any) -> int:
            assert self.open == 1
            if value is None:
                return UNKNOWN
            if isinstance(value, bytes):
                arguments[-2].value = value
            elif isinstance(value, tuple):
                for place, number in zip(arguments[-2:], value, strict=True):
                    place._obj.value = number
            else:
                arguments[-1]._obj.value = value
            return 0

        return call


def read(library: Library, index: int = 0) -> Card | None:
    found = card(index, lambda _: library)
    assert library.open == 0
    return found


def test_a_card_as_the_driver_tells_it() -> None:
    assert read(Library()) == Card("NVIDIA RTX A2000", "8.6", "570.86.10", 562, 2100, 61, ())


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (0x4, ("power cap",)),
        (0x68, ("hardware slowdown", "thermal limit (software)", "thermal limit (hardware)")),
        (0x3, ()),
    ],
)
def test_idle_and_chosen_clocks_are_no_throttling(bits: int, expected: tuple[str, ...]) -> None:
    found = read(Library(nvmlDeviceGetCurrentClocksThrottleReasons=bits))
    assert found is not None
    assert found.slowed == expected


@pytest.mark.parametrize("how", ["unsupported", "absent"])
def test_what_the_driver_does_not_tell_is_unknown_and_not_good(how: str) -> None:
    library = Library(nvmlDeviceGetTemperature=None, nvmlDeviceGetCudaComputeCapability=None)
    if how == "absent":
        del library.said["nvmlDeviceGetCurrentClocksThrottleReasons"]
    else:
        library.said["nvmlDeviceGetCurrentClocksThrottleReasons"] = None
    found = read(library)
    assert found is not None
    assert (found.compute, found.temperature_c, found.slowed) == (None, None, None)


def test_no_driver_and_no_card_is_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> object:
        raise OSError("libnvidia-ml.so.1: cannot open shared object file")

    assert card(load=missing) is None
    assert read(Library(), index=1) is None
    broken = Library()
    monkeypatch.setattr(broken, "nvmlInit_v2", lambda: 9, raising=False)
    assert card(load=lambda _: broken) is None
