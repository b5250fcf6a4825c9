"""A sound set has no finding; each planted fault has its own and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edge3vt.calibrate.coverage import ENOUGH, RULES, SHOWN, Audit, Seen, audit

CLASSES = ("artery", "vein")


def sound(count: int = ENOUGH) -> list[Seen]:
    return [
        Seen(
            id=f"p{i}",
            level=50.0 + i % 40,
            closer=i % 3 == 0,
            width_mm=60.0 + i % 50,
            weeks=20.0 + i % 15,
            classes=frozenset(CLASSES),
            patient=f"who{i}",
        )
        for i in range(count)
    ]


def rules(result: Audit) -> list[str]:
    return [finding.rule for finding in result.findings]


def test_a_sound_set_passes_without_a_finding() -> None:
    result = audit(sound(), CLASSES, reserved={"who999"})
    assert result.findings == ()
    assert result.passed
    cover = result.coverage
    assert (cover.pictures, cover.closer, cover.labelled) == (300, 100, 300)
    assert cover.classes == {"artery": 300, "vein": 300}
    assert cover.weeks == pytest.approx((21, 33), abs=0.6)
    assert cover.line == ("300 pictures, 100 seen closer, 300 labelled; 53-85 grey levels, 65-104 mm wide, 21-33 weeks")


def changed(**values: Any) -> Callable[[list[Seen]], list[Seen]]:
    return lambda pictures: [replace(each, **values) for each in pictures]


FAULTS: dict[str, Callable[[list[Seen]], list[Seen]]] = {
    "uncropped": lambda pictures: [replace(pictures[0], uncropped="marks like text at x 3, y 4"), *pictures[1:]],
    "test-patient": lambda pictures: [replace(pictures[0], patient="tested"), *pictures[1:]],
    "few-pictures": lambda pictures: pictures[:-1],
    "near-duplicates": lambda pictures: [*pictures[:-1], replace(pictures[-1], id="copy")],
    "narrow-gain": lambda pictures: [replace(each, level=50.0 + i % 10) for i, each in enumerate(pictures)],
    "narrow-depth": lambda pictures: [replace(each, width_mm=100.0 + i % 5) for i, each in enumerate(pictures)],
    "narrow-age": lambda pictures: [replace(each, weeks=24.0 + i % 3) for i, each in enumerate(pictures)],
    "no-closer-look": changed(closer=False),
    "class-absent": changed(classes=frozenset({"vein"})),
    "unlabelled": changed(classes=None),
}


def test_every_rule_has_a_fault() -> None:
    assert set(FAULTS) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_planted_fault_is_found_by_its_rule_alone(rule: str) -> None:
    pictures = FAULTS[rule](sound())
    alike = [("p0", "copy")] if any(each.id == "copy" for each in pictures) else []
    result = audit(pictures, CLASSES, alike=alike, reserved={"tested"})
    assert rules(result) == [rule]
    assert result.passed == (RULES[rule].severity == "warning")
    assert result.findings[0].line.startswith(f"{RULES[rule].severity} {rule}: ")
    assert result.findings[0].line.endswith(f"; {RULES[rule].remedy}")


def test_errors_come_first_and_name_the_pictures() -> None:
    pictures = [replace(each, patient="tested") for each in sound(8)]
    result = audit(pictures, CLASSES, reserved={"tested"})
    assert rules(result)[:2] == ["test-patient", "few-pictures"]
    assert result.findings[0].pictures == tuple(f"p{i}" for i in range(8))
    shown = ", ".join(f"p{i}" for i in range(SHOWN))
    assert f"8 of 8 pictures show patients whom the test split holds ({shown} and 3 more)" in result.findings[0].line


def test_what_is_unknown_is_no_finding_and_no_span() -> None:
    unknown = [replace(each, width_mm=None, weeks=None, patient=None) for each in sound()]
    result = audit(unknown, CLASSES, reserved={""})
    assert result.findings == ()
    assert (result.coverage.width_mm, result.coverage.weeks) == (None, None)
    assert result.coverage.line.endswith("53-85 grey levels, mm wide unknown, weeks unknown")


def test_a_closer_look_makes_no_set_deep_and_an_odd_picture_no_set_wide() -> None:
    pictures = [replace(each, width_mm=45.0 if each.closer else 100.0, weeks=24.0) for each in sound()]
    pictures[1] = replace(pictures[1], weeks=38.0, level=250.0)
    assert rules(audit(pictures, CLASSES)) == ["narrow-depth", "narrow-age"]


def test_copies_are_counted_once() -> None:
    result = audit(sound(), CLASSES, alike=[("p0", "p1"), ("p0", "p2"), ("p1", "p2")])
    assert result.findings[0].pictures == ("p1", "p2")
    assert result.findings[0].text == "2 of 300 pictures are nearly the same as another"


def test_one_picture_alone_is_judged_too() -> None:
    assert rules(audit(sound(1), CLASSES)) == ["few-pictures"]
