from __future__ import annotations

import re

import pytest

from edge3vt.clinic.norms import PA_AO, references


@pytest.mark.parametrize(
    ("weeks", "artery", "arch", "vein"), [(20, 3.19, 2.77, 1.86), (28, 5.37, 4.59, 3.00), (36, 7.55, 6.40, 4.13)]
)
def test_expected_diameters_are_those_of_the_regressions(weeks: float, artery: float, arch: float, vein: float) -> None:
    told = {one.of: one.expected for one in references(weeks, "mm") if one.expected is not None}
    assert told == {
        "pulmonary_artery_width": pytest.approx(artery, abs=0.0051),
        "aortic_arch_width": pytest.approx(arch, abs=0.0051),
        "superior_vena_cava_width": pytest.approx(vein, abs=0.0051),
    }


def test_the_band_of_the_ratio_is_the_published_one_and_holds_for_its_weeks_only() -> None:
    assert (PA_AO.low, PA_AO.high, PA_AO.mean, PA_AO.sd, PA_AO.fetuses) == (0.87, 1.58, 1.16, 0.18, 966)
    assert [one.of for one in references(None, "mm")] == ["pa_ao"]
    assert PA_AO in references(24.0, "px")
    assert PA_AO not in references(24.1, "px")
    assert references(30.0, "px") == ()


def test_diameters_need_a_scale_and_an_age_within_the_regressions() -> None:
    assert len(references(22.0, "mm")) == 4
    assert references(22.0, "px") == (PA_AO,)
    assert references(39.0, "mm") == ()


def test_every_reference_names_its_source_and_judges_nobody() -> None:
    for one in references(22.0, "mm"):
        assert one.source in one.words()
        assert str(one.fetuses) in one.words()
        assert not re.search("normal|patholog|disease|suspicious", one.words(), re.IGNORECASE)
