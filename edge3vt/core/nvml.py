"""NVIDIA's management library: what a card is and how it does, without CUDA. Constants: NVML API reference, R570."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
_SM_CLOCK, _ON_CORE = 1, 0  # NVML_CLOCK_SM, NVML_TEMPERATURE_GPU
_SLOWED = {  # nvmlClocksEventReason...
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "thermal limit (software)",
    0x40: "thermal limit (hardware)",
    0x80: "power brake",
}


@dataclass(frozen=True, slots=True)
class Card:
    """One card; None where the driver does not say. slowed: reasons why its clocks are held down now."""

    name: str
    compute: str | None
    driver: str | None
    clock_mhz: int | None
    max_clock_mhz: int | None
    temperature_c: int | None
    slowed: tuple[str, ...] | None


def card(index: int = 0, load: Callable[[str], Any] = ctypes.CDLL) -> Card | None:
    """The card of that number, in NVML's order; None without a driver or without a card."""
    try:
        library = load(LIBRARY)
    except OSError:
        return None
    if library.nvmlInit_v2():
        return None
    try:
        handle = ctypes.c_void_p()
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)):
            return None
        return _read(library, handle)
    finally:
        library.nvmlShutdown()


def _read(library: Any, handle: ctypes.c_void_p) -> Card:
    def number(function: str, *arguments: int, kind: type[Any] = ctypes.c_uint) -> int | None:
        value = kind()
        call = getattr(library, function, None)
        return None if call is None or call(handle, *arguments, ctypes.byref(value)) else int(value.value)

    def text(call: Any, *arguments: object) -> str | None:
        buffer = ctypes.create_string_buffer(128)
        return None if call(*arguments, buffer, len(buffer)) else buffer.value.decode("utf-8", "replace")

    major, minor = ctypes.c_int(), ctypes.c_int()
    failed = library.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor))
    reasons = number("nvmlDeviceGetCurrentClocksThrottleReasons", kind=ctypes.c_ulonglong)
    return Card(
        name=text(library.nvmlDeviceGetName, handle) or "unknown",
        compute=None if failed else f"{major.value}.{minor.value}",
        driver=text(library.nvmlSystemGetDriverVersion),
        clock_mhz=number("nvmlDeviceGetClockInfo", _SM_CLOCK),
        max_clock_mhz=number("nvmlDeviceGetMaxClockInfo", _SM_CLOCK),
        temperature_c=number("nvmlDeviceGetTemperature", _ON_CORE),
        slowed=None if reasons is None else tuple(name for bit, name in _SLOWED.items() if reasons & bit),
    )
