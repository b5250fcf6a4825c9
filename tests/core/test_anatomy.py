from __future__ import annotations

import pytest

from edge3vt.core.anatomy import CLASS_NAMES, MAX_CLASSES, SCORED, ZALEL_2004, ClassMap, Structure
from edge3vt.core.errors import ConfigError


def test_names_stand_in_the_order_of_the_indices() -> None:
    assert tuple(structure.name.lower() for structure in Structure) == CLASS_NAMES
    assert list(Structure) == list(range(len(CLASS_NAMES)))
    assert tuple(Structure)[1:5] == SCORED


@pytest.mark.parametrize("weeks", [14, 22, 34, 38])
def test_vessels_narrow_from_the_spine_rightwards(weeks: float) -> None:
    """In the 3VT view the sizes fall: pulmonary artery, aortic arch, superior vena cava."""
    widths = [ZALEL_2004[s].diameter_mm(weeks) for s in SCORED[:3]]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] > 0


def test_diameters_at_thirty_weeks() -> None:
    widths = {s.name: round(r.diameter_mm(30), 2) for s, r in ZALEL_2004.items()}
    assert widths == {"PULMONARY_ARTERY": 5.92, "AORTIC_ARCH": 5.04, "SUPERIOR_VENA_CAVA": 3.28}


def test_a_class_map_renames_the_classes() -> None:
    assert ClassMap(1, CLASS_NAMES).classes == CLASS_NAMES


@pytest.mark.parametrize(
    ("schema", "classes", "message"),
    [
        (2, ("background", "a"), "schema 2 is not known, expected 1"),
        (1, ("background",), f"1 classes, expected 2 to {MAX_CLASSES}"),
        (1, ("background", *map(str, range(MAX_CLASSES))), f"{MAX_CLASSES + 1} classes, expected 2 to {MAX_CLASSES}"),
        (1, ("a", "background"), "class 0 is 'a', expected 'background'"),
        (1, ("background", "a", "a"), "a class stands twice"),
    ],
)
def test_a_class_map_that_no_mask_can_have_is_refused(schema: int, classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ClassMap(schema, classes)
