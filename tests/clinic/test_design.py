"""What a design buys, and how it draws."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from edge3vt.clinic.design import alone, blind_ids, crossed, draw, precision, stratum
from edge3vt.core.errors import DataError
from edge3vt.data.dataset import Item


def item(number: int, weeks: float = 20.0, variant: str = "normal", patient: str | None = None) -> Item:
    facts: dict[str, float | str] = {"weeks": weeks, "variant": variant}
    return Item(f"i{number}", "", "", patient or f"p{number}", "", 8, 8, None, (), facts=facts)


def test_101_pictures_buy_limits_to_a_third_of_an_sd() -> None:
    bought = precision(101, 4)
    assert bought.limits == pytest.approx(0.34, abs=0.005)  # Bland and Altman 1986: 1.96 sqrt(3 / n)
    assert bought.detectable == pytest.approx(0.281, abs=0.001)
    assert bought.bias["0"] == pytest.approx(0.197, abs=0.001)
    assert bought.bias["0.2"] > 2 * bought.bias["0"]  # few readers with biases of their own
    with pytest.raises(DataError, match="too few"):
        precision(2, 1)


def test_power_is_that_of_statsmodels() -> None:
    from statsmodels.stats.power import TTestPower

    for effect, power in precision(40, 2).power.items():
        assert power == pytest.approx(TTestPower().power(float(effect), 40, 0.05), abs=1e-3)


def test_a_draw_is_balanced_and_takes_new_patients_first() -> None:
    items = [item(i, weeks=20.0 if i < 60 else 32.0, variant="normal" if i % 10 else "rare") for i in range(80)]
    items += [item(100 + i, patient="p0") for i in range(5)]
    drawn = draw(items, 24, np.random.default_rng(1))
    assert Counter(stratum(one)[0] for one in drawn) == {"18-23": 12, "30-36": 12}
    assert Counter(stratum(one) for one in drawn)["18-23", "rare"] == 6
    assert len({one.patient for one in drawn}) >= 23  # p0 has six, one of them alone in being rare and young
    assert drawn == draw(items, 24, np.random.default_rng(1))
    assert drawn != draw(items, 24, np.random.default_rng(2))
    with pytest.raises(DataError, match="take fewer with --pictures"):
        draw(items, 86, np.random.default_rng(1))


def test_what_is_not_known_is_a_stratum_of_its_own() -> None:
    assert stratum(replace(item(1), facts={})) == ("", "")
    assert stratum(item(1, weeks=40.0))[0] == "other"


def test_sessions_are_crossed_and_each_arm_comes_first_as_often() -> None:
    cases = [f"c{i}" for i in range(21)]
    kind = {case: int(case[1:]) % 4 for case in cases}
    sessions = crossed(cases, kind.__getitem__, ["ann", "ben", "cy"], np.random.default_rng(0))
    assert len(sessions) == 6
    for reader in ("ann", "ben", "cy"):
        first, second = (session for session in sessions if session.reader == reader)
        assert set(first.cases) == set(second.cases) == set(cases)
        assert set(first.with_ai) | set(second.with_ai) == set(cases)
        assert not set(first.with_ai) & set(second.with_ai)
        assert len(first.with_ai) in (10, 11)
        for value in range(4):
            own = [case for case in cases if kind[case] == value]
            assert abs(2 * len(set(first.with_ai) & set(own)) - len(own)) <= 1
        assert first.cases != second.cases != tuple(cases)
    assert len({session.with_ai for session in sessions}) == 6
    (expert,) = alone(cases, ["eva"], np.random.default_rng(0))
    assert (set(expert.cases), expert.with_ai) == (set(cases), ())


def test_blind_ids_are_new_and_each_once() -> None:
    ids = blind_ids(500, np.random.default_rng(0))
    assert len(set(ids)) == 500
    assert all(id.isalpha() and id.islower() for id in ids)
