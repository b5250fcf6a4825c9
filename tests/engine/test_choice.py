from __future__ import annotations

import pytest

from edge3vt.core.errors import GateError
from edge3vt.core.latency import LatencySummary
from edge3vt.engine.choice import choose, label, told
from edge3vt.engine.manifest import Candidate, Speed, VerifyReport
from edge3vt.engine.recipe import Candidates, EngineRecipe


def candidate(
    name: str, ms: float | None, *, agreement: float = 1.0, dice: float | None = None, reasons: tuple[str, ...] = ()
) -> Candidate:
    report = VerifyReport(not reasons, reasons, 1, agreement, 0, 0, {}, 0, Speed(1, 1, 1, 1), 1)
    paced = None if ms is None else LatencySummary(550, ms, ms, ms, 2 * ms, None, 3 * ms)
    return Candidate(name, "net", "int8", "onnxruntime", reasons, report, paced, dice)


def test_the_fastest_that_holds_is_kept_and_the_words_tell_of_all() -> None:
    kept, why = choose([candidate("fp32", 6.9), candidate("int8", 1.3, agreement=0.99)])
    assert kept == 1
    assert why == ("fp32: 6.90 ms, p99 13.80; int8: 1.30 ms, p99 2.60; int8 kept: the fastest that holds its limits")


def test_a_faster_one_that_misses_a_limit_is_not_kept() -> None:
    kept, why = choose([candidate("fp16", 1.4), candidate("int8", 1.0, reasons=("Dice of trachea is 0.5",))])
    assert kept == 0
    assert "int8: 1.00 ms, p99 2.00, not held (Dice of trachea is 0.5); " in why
    assert why.endswith("fp16 kept: the only one that holds its limits")


def test_fewer_bits_that_are_not_faster_give_way_to_the_more_accurate() -> None:
    """A small net is bound by its launches: there INT8 wins nothing."""
    candidates = [candidate("fp16", 1.04, agreement=0.9999), candidate("int8", 1.0, agreement=0.998)]
    kept, why = choose(candidates)
    assert kept == 0
    assert why.endswith("fp16 kept: int8 is not faster by more than 5%, and less accurate")
    assert choose([candidate("fp16", 1.06, agreement=0.9999), candidates[1]])[0] == 1
    assert choose(candidates[::-1])[0] == 1


def test_among_models_the_truth_counts_before_agreement_and_equals_go_to_the_faster() -> None:
    small, large = candidate("s256", 1.0, agreement=1.0, dice=0.80), candidate("s384", 1.02, agreement=0.99, dice=0.84)
    kept, why = choose([small, large])
    assert kept == 1
    assert "s256: 1.00 ms, p99 2.00, Dice 0.800; " in why
    assert choose([candidate("a", 1.02), candidate("b", 1.0)])[0] == 1


def test_where_none_holds_each_says_why() -> None:
    never = Candidate("int8", "net", "int8", "openvino", ("OpenVINO cannot be imported here",))
    with pytest.raises(GateError, match=r"no candidate holds its limits: fp32: 2\.00 ms, .*not held \(slow\); int8"):
        choose([candidate("fp32", 2.0, reasons=("slow",)), never])
    with pytest.raises(GateError):
        choose([candidate("never timed", None)])
    assert told(never) == "int8: not held (OpenVINO cannot be imported here)"


def test_labels_name_what_differs() -> None:
    def labels(**lists: tuple[str, ...]) -> list[str]:
        loss = 0.1 if "models" in lists else None
        several = Candidates(**lists, max_dice_loss=loss)  # type: ignore[arg-type]
        asked = EngineRecipe(1, "a", "m", "fp32", "onnxruntime", "golden", "asset", candidates=several)
        return [label(single, asked) for single in asked.singles()]

    assert labels(precisions=("fp32", "int8")) == ["fp32", "int8"]
    assert labels(precisions=("fp32", "int8"), runtimes=("onnxruntime", "openvino")) == [
        "fp32 onnxruntime",
        "int8 onnxruntime",
        "fp32 openvino",
        "int8 openvino",
    ]
    assert labels(precisions=("fp32", "int8"), models=("m", "n"))[3] == "n int8"
