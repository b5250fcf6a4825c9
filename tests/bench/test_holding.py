from __future__ import annotations

import numpy as np
import pytest

from edge3vt.bench.accuracy import Case, Scores
from edge3vt.bench.holding import Candidate, Held, candidate
from edge3vt.core.errors import DataError

NAMES = ("arch", "svc")


def scores(dice: float | None, width_px: float | None = 20.0) -> Scores:
    """``dice`` None: the picture does not show the structure; 0: it was missed."""
    if dice is None:
        return Scores(0, 0, None, None, None, None, None, None)
    return Scores(100, 100, dice, dice, float(dice > 0), 1.0 if dice else None, dice, width_px)


def held(rows: list[tuple[Scores, Scores]], alike: list[tuple[float, float]], view: float = 0.1) -> Held:
    out = Held()
    for index, ((arch, svc), own) in enumerate(zip(rows, alike, strict=True)):
        case = Case(f"c{index}", f"p{index}", "", 24.0, None, 1.0, {"arch": arch, "svc": svc, "spine": scores(None)})
        out.add(case, np.array([*own, np.nan]), view * index)
    return out


def judged(svc: list[float], alike: list[float], name: str = "cpu", narrow: int = 0, arch: float = 0.9) -> Candidate:
    """Of cases whose FP32 Dice is 0.9, the first ``narrow`` of a superior vena cava of 6 px."""
    widths = [6.0 if index < narrow else 12.0 for index in range(len(svc))]
    exact = held([(scores(0.9), scores(0.9, width)) for width in widths], [(1, 1)] * len(svc))
    rows = [(scores(arch), scores(own, width)) for own, width in zip(svc, widths, strict=True)]
    other = held(rows, [(0.99, own) for own in alike])
    half = held([(scores(0.9), scores(0.9, width)) for width in widths], [(1, 1)] * len(svc))
    return candidate(name, "hash", (), {"fp32": exact, "fp16": half, name: other}, NAMES, (*NAMES, "spine"))


def missed(found: Candidate) -> list[str]:
    return [gate.name for gate in found.gates if not gate.passed]


def test_masks_that_are_alike_hold_every_limit_and_the_limit_itself_is_allowed() -> None:
    found = judged([0.9, 0.9], [0.97, 0.97])
    assert missed(found) == []
    assert [gate.name for gate in found.gates] == [
        "alike, arch of 2 cases",
        "alike, svc of 2 cases",
        "newly missed, %",
        "loss, points",
    ]
    assert found.structures["spine"].cases == 0
    assert found.largest_view_difference == pytest.approx(0.1)


def test_only_wide_structures_have_to_be_alike() -> None:
    assert missed(judged([0.9, 0.9], [0.99, 0.92])) == ["alike, svc of 2 cases"]
    found = judged([0.9, 0.9], [0.1, 0.98], narrow=1)
    assert missed(found) == []
    svc = found.structures["svc"]
    assert (svc.wide, svc.wide_alike, svc.small, svc.alike) == (1, 0.98, 1, pytest.approx(0.54))


def test_a_loss_is_in_points_and_small_ones_have_a_limit_of_their_own() -> None:
    assert missed(judged([0.895, 0.895], [1, 1])) == []  # half a point of one of two structures
    assert missed(judged([0.893, 0.893], [1, 1])) == ["loss, points"]
    found = judged([0.889, 0.9, 0.9, 0.9], [1, 1, 1, 1], narrow=1)
    assert missed(found) == ["loss, svc of 1 small cases, points"]
    assert found.structures["svc"].small_loss == pytest.approx(1.1)
    assert found.structures["svc"].loss == pytest.approx(0.275)
    assert missed(judged([0.95, 0.95], [1, 1], narrow=2)) == []  # a gain is no loss


def test_what_fp32_finds_and_the_other_does_not_is_newly_missed() -> None:
    found = judged([0.0] + [0.9] * 99, [1.0] * 100)
    assert found.structures["svc"].newly_missed == 1
    gate = next(gate for gate in found.gates if gate.name == "newly missed, %")
    assert (gate.value, gate.passed) == (0.5, True)  # 1 of 200
    assert not next(gate for gate in judged([0.0] + [0.9] * 98, [1.0] * 99).gates if gate.limit == 0.5).passed


def test_what_fp32_misses_as_well_is_not_newly_missed() -> None:
    both = {name: held([(scores(0.9), scores(0.0))], [(1, 1)]) for name in ("fp32", "cpu")}
    found = candidate("cpu", "hash", (), both, NAMES, (*NAMES, "spine"))
    assert (found.structures["svc"].missed, found.structures["svc"].newly_missed) == (1.0, 0)


def test_a_verdict_weighs_fp16_where_the_runtime_has_it_and_says_where_int8_is_too_dear() -> None:
    for name, precisions in (("cpu", {"fp32", "int8"}), ("tensorrt-fp32", {"fp32", "fp16", "int8"})):
        found = judged([0.89, 0.89], [1, 1], name)
        assert {v.structure: v.precision for v in found.verdicts} == {
            "arch": "int8",
            "svc": "fp32" if name == "cpu" else "fp16",
        }
        assert set(found.verdicts[0].measured) == precisions
        assert "INT8 is not worth it here: too dear for svc (int8 costs 0.0100 Dice" in found.advice
    half = judged([0.89, 0.89], [1, 1], "fp16")
    assert (half.verdicts, half.advice) == ((), "FP16 is too dear for svc")


def test_a_set_that_shows_nothing_judges_nothing() -> None:
    nothing = held([(scores(None), scores(None))], [(np.nan, np.nan)])
    with pytest.raises(DataError, match="no picture shows any of arch, svc"):
        candidate("cpu", "hash", (), {"fp32": nothing, "cpu": nothing}, NAMES, (*NAMES, "spine"))
