from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from edge3vt.clinic.coding import ANATOMICAL, PRIVATE, TYPES, Concept, concept_of, printable, remark_of
from edge3vt.core.anatomy import CLASS_NAMES

CATEGORIES, PROPERTY_TYPES, ANATOMY = 7150, 7151, 7192


def in_the_standard(concept: Concept, context_group: int) -> bool:
    """Whether pydicom's dictionary of PS3.16 has it in that context group, with that meaning."""
    return any(
        concept.value in entry
        and entry[concept.value][0] == concept.meaning
        and context_group in entry[concept.value][1]
        for entry in concepts[concept.scheme].values()
    )


@pytest.mark.parametrize("name", CLASS_NAMES[1:])
def test_the_code_of_a_structure_is_the_standards(name: str) -> None:
    assert in_the_standard(TYPES[name], PROPERTY_TYPES)
    assert in_the_standard(TYPES[name], ANATOMY)
    assert concept_of(name) is TYPES[name]
    assert "fetal" in remark_of(name)


def test_the_category_is_the_standards_and_a_wrong_code_would_be_seen() -> None:
    assert in_the_standard(ANATOMICAL, CATEGORIES)
    assert not in_the_standard(Concept("81040000", "SCT", "Aortic arch"), PROPERTY_TYPES)
    assert not in_the_standard(Concept("81040001", "SCT", "Pulmonary artery"), PROPERTY_TYPES)


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("nerve", "nerve", "nerve"),
        ("the nerve of an arm", "class-", "the nerve of an arm"),
        ("Gefäß", "class-", "Gef??"),
        ("a\\b", "class-", "a?b"),
        ("x" * 99, "class-", "x" * 64),
    ],
)
def test_another_class_gets_a_private_code(name: str, value: str, meaning: str) -> None:
    concept = concept_of(name)
    assert (concept.scheme, concept.meaning) == (PRIVATE, meaning)
    assert concept.value.startswith(value[:6])
    assert len(concept.value) <= 16
    assert concept_of(name) == concept
    assert "own class map" in remark_of(name)


def test_two_classes_whose_names_print_alike_have_two_codes() -> None:
    assert concept_of("ä").meaning == concept_of("ö").meaning
    assert concept_of("ä").value != concept_of("ö").value
    assert printable("") == "?"
