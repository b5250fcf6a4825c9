"""At once, then seldom; never a flood; never a name."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge3vt.core.clock import NS_PER_S, ManualClock, SystemClock
from edge3vt.stream.journal import AGAIN_NS, CODES, Entry, Journal, Limiter, muffled

PATIENT = "MUSTERFRAU^ERIKA"
EVENTS = st.lists(st.tuples(st.integers(0, 3 * NS_PER_S), st.sampled_from(sorted(CODES))), max_size=300)


def flood(limiter: Limiter, seconds: int, rate: int, codes: tuple[str, ...]) -> list[tuple[int, Entry]]:
    """``rate`` events a second, of the codes in turn."""
    told = []
    for i in range(seconds * rate):
        now_ns = i * NS_PER_S // rate
        entry = limiter.step(codes[i % len(codes)], {}, now_ns)
        told += [(now_ns, entry)] if entry else []
        told += [(now_ns, e) for e in limiter.flush(now_ns)] if i % rate == 0 else []
    return told


def breaches(told: list[tuple[int, Entry]]) -> list[str]:
    """What of the rule does not hold."""
    out, last = [], dict[str, int]()
    for i, (now_ns, entry) in enumerate(told):
        if entry.code in last and now_ns - last[entry.code] < AGAIN_NS:
            out.append(f"{entry.code} again")
        last[entry.code] = now_ns
        if i >= 10 and now_ns - told[i - 10][0] < NS_PER_S:
            out.append("more than 10 lines a second")
    return out


def test_ten_minutes_of_errors_at_60_hz_are_a_line_in_ten_seconds() -> None:
    told = flood(Limiter(), 600, 60, ("NO_SIGNAL",))
    assert told[0] == (0, Entry("NO_SIGNAL"))
    assert len(told) == 60
    assert breaches(told) == []
    assert told[1][1].suppressed == 599
    assert sum(entry.suppressed + 1 for _, entry in told) == 59 * 600 + 1


def test_all_codes_at_once_are_ten_lines_a_second_and_none_is_forgotten() -> None:
    told = flood(Limiter(), 60, 600, tuple(sorted(CODES)))
    assert breaches(told) == []
    assert {entry.code for _, entry in told} == CODES


def test_a_limiter_without_its_rule_would_be_seen() -> None:
    class Planted(Limiter):
        def _full(self, now_ns: int) -> bool:
            return False

    assert "more than 10 lines a second" in breaches(flood(Planted(), 2, 600, tuple(sorted(CODES))))


@given(EVENTS)
def test_every_event_is_told_or_counted(events: list[tuple[int, str]]) -> None:
    limiter, now_ns, told = Limiter(), 0, list[tuple[int, Entry]]()
    for wait_ns, code in events:
        now_ns += wait_ns
        entry = limiter.step(code, {}, now_ns)
        told += [(now_ns, entry)] if entry else []
    assert breaches(told) == []
    spoken = len(told)
    told += [(now_ns, entry) for entry in limiter.flush(now_ns, ending=True)]
    flushes = Counter(entry.code for _, entry in told[spoken:])
    accounted = Counter[str]()
    for _, entry in told:
        accounted[entry.code] += entry.suppressed + 1
    assert accounted - flushes == Counter(code for _, code in events)  # a flush tells, it is no event


def test_only_codes_and_numbers_are_written() -> None:
    lines: list[str] = []
    journal = Journal(ManualClock(), lines.append)
    journal.say(PATIENT, ms=12.5)
    journal.say("HANG", pid=7, count=PATIENT, **{PATIENT: 3.0})  # type: ignore[arg-type]
    assert [line.split(" ", 1)[1] for line in lines] == ["OTHER ms=12.5", "HANG pid=7"]
    assert PATIENT not in "".join(lines)


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    def full(text: str) -> None:
        raise OSError(28, "No space left on device")

    Journal(ManualClock(), full).say("DISK")


def test_native_text_of_this_process_its_libraries_and_its_children_is_counted_not_repeated(
    capfd: pytest.CaptureFixture[str],
) -> None:
    child = f"import os\nfor _ in range(5000): os.write(2, b'{PATIENT} native\\n')"
    with muffled(Journal(SystemClock())):
        os.write(2, f"{PATIENT} own\n".encode())
        logging.getLogger("pydicom").warning("%s", PATIENT)
        subprocess.run([sys.executable, "-c", child], check=True)
    said = capfd.readouterr().err
    assert PATIENT not in said
    assert "NATIVE_STDERR bytes=" in said
    assert "LIBRARY value=30" in said
    assert 2 <= said.count("\n") <= 4
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_without_it_the_name_would_be_found(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, f"{PATIENT} own\n".encode())
    assert PATIENT in capfd.readouterr().err
