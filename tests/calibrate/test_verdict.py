from __future__ import annotations

import pytest

from edge3vt.calibrate.verdict import Measured, Precision, Verdict, advise, verdict
from edge3vt.core.errors import ConfigError


def judged(structure: str, fp16: float | None, int8: float | None, missed: float = 0.0) -> Verdict:
    """From a Dice of 0.8 in FP32; ``missed`` is what INT8 misses more."""
    measured: dict[Precision, Measured] = {"fp32": Measured(0.8, 1.5, 0.1)}
    if fp16 is not None:
        measured["fp16"] = Measured(fp16, 1.5, 0.1)
    if int8 is not None:
        measured["int8"] = Measured(int8, None, 0.1 + missed)
    return verdict(structure, measured, 0.003)


@pytest.mark.parametrize(
    ("fp16", "int8", "missed", "precision"),
    [
        (0.8, 0.798, 0.0, "int8"),
        (0.8, 0.81, 0.0, "int8"),
        (0.799, 0.79, 0.0, "fp16"),
        (0.799, 0.799, 0.02, "fp16"),
        (0.79, 0.79, 0.0, "fp32"),
        (None, 0.79, 0.0, "fp32"),
        (None, None, 0.0, "fp32"),
    ],
)
def test_each_structure_gets_the_smallest_precision_that_it_can_afford(
    fp16: float | None, int8: float | None, missed: float, precision: str
) -> None:
    assert judged("arch", fp16, int8, missed).precision == precision


def test_what_is_missed_may_have_a_bound_of_its_own() -> None:
    measured: dict[Precision, Measured] = {"fp32": Measured(0.8, 1.5, 0.1), "int8": Measured(0.8, 1.5, 0.104)}
    assert verdict("arch", measured, 0.003).precision == "fp32"
    assert verdict("arch", measured, 0.003, 0.005).precision == "int8"
    assert verdict("arch", {**measured, "int8": Measured(0.79, 1.5, 0.1)}, 0.003, 0.005).precision == "fp32"


def test_a_verdict_tells_what_the_smaller_ones_cost() -> None:
    assert judged("arch", 0.8, 0.78, 0.05).reason == "int8 costs 0.0200 Dice and misses +5.0% more"
    assert judged("arch", 0.8, 0.8).reason == ""
    with pytest.raises(ConfigError, match="arch: no figures of the FP32 model"):
        verdict("arch", {"int8": Measured(1, 1, 0)}, 0.003)


TIMES: dict[Precision, float] = {"fp32": 8.0, "fp16": 4.0, "int8": 2.0}


def test_int8_is_advised_where_it_holds_and_pays() -> None:
    found = advise([judged("arch", 0.8, 0.8), judged("svc", 0.8, 0.8)], TIMES)
    assert found.precision == "int8"
    assert "INT8 holds every structure and is 2.00 times as fast as FP16" in found.text


def test_int8_is_not_worth_it_where_one_structure_pays_too_much() -> None:
    found = advise([judged("arch", 0.8, 0.8), judged("svc", 0.8, 0.7)], TIMES)
    assert found.precision == "fp16"
    assert "INT8 is not worth it here: too dear for svc (int8 costs 0.1000 Dice" in found.text
    assert "arch (" not in found.text


def test_without_times_accuracy_alone_decides_and_the_advice_says_so() -> None:
    found = advise([judged("arch", 0.8, 0.8)])
    assert found.precision == "int8"
    assert "INT8 holds every structure; whether it is faster was not measured" in found.text
    dear = advise([judged("arch", 0.8, 0.8), judged("svc", 0.8, 0.7)])
    assert dear.precision == "fp16"
    assert "INT8 is not worth it here: too dear for svc (int8 costs 0.1000 Dice" in dear.text


def test_int8_is_not_worth_it_where_it_is_hardly_faster() -> None:
    found = advise([judged("arch", 0.8, 0.8)], TIMES | {"int8": 3.9})
    assert found.precision == "fp16"
    assert "INT8 is not worth it here: 1.03 times as fast as FP16, 1.1 was asked for" in found.text
    assert advise([judged("arch", 0.8, 0.8)], TIMES | {"int8": 3.9}, worth=1.0).precision == "int8"
    assert advise([judged("arch", 0.8, 0.8)], {"fp32": 4.0, "fp16": 4.0, "int8": 4.0}).precision == "fp32"


def test_a_precision_that_was_not_measured_is_not_weighed_and_one_without_a_time_is_refused() -> None:
    assert advise([judged("arch", None, 0.8)], {"fp32": 8.0, "int8": 2.0}).precision == "int8"
    assert advise([judged("arch", 0.8, None)], {"fp32": 8.0, "fp16": 2.0}).precision == "fp16"
    with pytest.raises(ConfigError, match="no time of int8; measure it on the target"):
        advise([judged("arch", 0.8, 0.8)], {"fp32": 8.0, "fp16": 2.0})
    with pytest.raises(ConfigError, match="no structure was judged"):
        advise([], TIMES)
