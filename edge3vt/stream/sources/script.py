"""What a scripted source does and when, as a pure function: no thread, no clock, no pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import ConfigError

SPANS = ("gap", "black", "frozen", "corrupt")
FORMS = "gap@2-3, black@2-3, frozen@2-3, corrupt@2-3, size@2:640x480, rate@2:120, hang@2, lost@2, exit@2:137"

_FORM = re.compile(r"([a-z]+)@(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?(?::([\dx.]+))?")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault from ``start_s`` after opening; a span ends at ``end_s``. value: as the fault's form says."""

    kind: str
    start_s: float
    end_s: float = math.inf
    value: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do, ``time_ns`` after opening. kind: show, black, frozen, corrupt, hang, lost or exit.

    number: which picture; a frozen one repeats an earlier number. code: an exit's.
    """

    time_ns: int
    number: int
    width: int
    height: int
    kind: str = "show"
    code: int = 0


def parse_faults(text: str, where: str) -> tuple[Fault, ...]:
    """``black@2-3,size@4:640x480``: faults in seconds after opening. Raises ConfigError for another form."""
    faults = []
    for part in filter(None, text.split(",")):
        match = _FORM.fullmatch(part)
        if match is None or not _fits(*match.groups()):
            raise ConfigError(f"{where}: no fault is written '{part}'; expected, comma-separated, such as {FORMS}")
        kind, start, end, value = match.groups()
        numbers = tuple(float(number) for number in value.split("x")) if value else ()
        faults.append(Fault(kind, float(start), math.inf if end is None else float(end), numbers))
    return tuple(faults)


def steps(
    faults: tuple[Fault, ...], rate_hz: float, width: int, height: int, frames: int | None = None
) -> Iterator[Step]:
    """What happens, in order; ends after ``frames`` pictures, after a hang (which does not end), a loss or an exit."""
    since_s, count, number, shown = 0.0, 0, 0, 0
    while frames is None or number < frames:
        time_s = since_s + count / rate_hz
        now = [fault for fault in faults if fault.start_s <= round(time_s, 9) < fault.end_s]
        kinds = {fault.kind for fault in now}
        for fault in now:
            if fault.kind == "size":
                width, height = (int(side) for side in fault.value)
            elif fault.kind == "rate" and fault.value[0] != rate_hz:
                since_s, count, rate_hz = time_s, 0, fault.value[0]
        stop = next((fault for fault in now if fault.kind in ("hang", "lost", "exit")), None)
        at = round(time_s * NS_PER_S)
        if stop is not None:
            code = int(stop.value[0]) if stop.value else 1
            yield Step(at, number, width, height, stop.kind, code)
            return
        if "gap" not in kinds:
            kind = next((kind for kind in ("corrupt", "black", "frozen") if kind in kinds), "show")
            if kind != "frozen":
                shown = number
            yield Step(at, shown, width, height, kind)
        number += 1
        count += 1


def _fits(kind: str, start: str, end: str | None, value: str | None) -> bool:
    match kind:
        case "size":
            return end is None and re.fullmatch(r"[1-9]\d{1,3}x[1-9]\d{1,3}", value or "") is not None
        case "rate":
            return end is None and re.fullmatch(r"\d+(\.\d+)?", value or "") is not None and float(value or 0) > 0
        case "exit":
            return end is None and (value is None or re.fullmatch(r"\d{1,3}", value) is not None)
        case "hang" | "lost":
            return end is None and value is None
        case _:
            return kind in SPANS and end is not None and float(end) > float(start) and value is None
