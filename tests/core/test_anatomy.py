from __future__ import annotations

import pytest

from edge3vt.core.anatomy import CLASS_NAMES, SCORED, ZALEL_2004, Structure


def test_names_stand_in_the_order_of_the_indices() -> None:
    assert tuple(structure.name.lower() for structure in Structure) == CLASS_NAMES
    assert list(Structure) == list(range(len(CLASS_NAMES)))
    assert SCORED == tuple(Structure)[1:5]


@pytest.mark.parametrize("weeks", [14, 22, 34, 38])
def test_vessels_narrow_from_the_spine_rightwards(weeks: float) -> None:
    """In the 3VT view the sizes fall: pulmonary artery, aortic arch, superior vena cava."""
    widths = [ZALEL_2004[s].diameter_mm(weeks) for s in SCORED[:3]]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] > 0


def test_diameters_at_thirty_weeks() -> None:
    widths = {s.name: round(r.diameter_mm(30), 2) for s, r in ZALEL_2004.items()}
    assert widths == {"PULMONARY_ARTERY": 5.92, "AORTIC_ARCH": 5.04, "SUPERIOR_VENA_CAVA": 3.28}
