from __future__ import annotations

from typing import Any

from edge3vt.data.dataset import Item
from edge3vt.data.patients import DOUBTED, MANY, Known, known
from edge3vt.data.pseudonym import pseudonym

KEY = bytes(range(32))


def item(id: str, who: str, **more: Any) -> Item:
    return Item(id, "", None, pseudonym(KEY, who), "", 1, 1, None, (), **more)


def settled(*files: tuple[str, str | None]) -> Known:
    """Files a, b, ... given as (who the item says it is, the user's group)."""
    ids = [chr(ord("a") + n) for n in range(len(files))]
    items = [item(id, who) for id, (who, _) in zip(ids, files, strict=True)]
    return known(items, {id: [(group, f"{id}.dcm")] for id, (_, group) in zip(ids, files, strict=True)}, KEY)


def test_a_file_without_a_patient_joins_the_only_one_of_its_group() -> None:
    found = settled(
        ("header x", "folder 1"), ("folder 1", "folder 1"), ("header y", "folder 2"), ("folder 3", "folder 3")
    )
    assert [each.patient for each in found.items] == [
        pseudonym(KEY, who) for who in ("header x", "header x", "header y", "folder 3")
    ]
    assert (found.joined, found.headed, found.refused) == (1, 2, {})


def test_a_file_that_could_be_of_several_patients_is_refused() -> None:
    found = settled(("header x", "folder 1"), ("folder 1", "folder 1"), ("header y", "folder 1"))
    assert [each.id for each in found.items] == ["a", "c"]
    assert list(found.refused) == ["b"]
    assert found.refused["b"].startswith("b.dcm: its header names no patient, and those of its group name 2")


def test_without_groups_headers_stand_as_they_are() -> None:
    found = settled(("header x", None), ("header y", None))
    assert len({each.patient for each in found.items}) == 2
    assert (found.joined, found.headed, found.refused) == (0, 2, {})


def test_a_cine_joins_whole_and_through_any_of_its_places() -> None:
    cine = [item(f"c-{n}", "folder 2", cine="c", frame=n) for n in range(3)]
    places = {"a": [("folder 1", "a")], "c": [("folder 2", "2/c"), ("folder 1", "1/c")]}
    found = known([item("a", "header x"), *cine], places, KEY)
    assert {each.patient for each in found.items} == {pseudonym(KEY, "header x")}
    assert found.joined == 1


def test_most_files_under_one_patient_look_like_a_placeholder() -> None:
    most: list[tuple[str, str | None]] = [("header 4711", None)] * MANY
    others: list[tuple[str, str | None]] = [(f"header {n}a", None) for n in range(MANY)]
    assert settled(*most, *others[:-1]).suspect == MANY
    assert settled(*most, *others).suspect == 0
    assert settled(*most[:-1]).suspect == 0


def test_known_placeholders_are_seen_in_few_files_and_groups_never() -> None:
    doubted = [item(id, "header anonymous", facts=dict([DOUBTED])) for id in "ab"]
    named = [item(id, f"header {id}") for id in "cde"]
    assert known([*doubted, *named], {id: [(None, f"{id}.dcm")] for id in "abcde"}, KEY).suspect == 2
    assert settled(*[("folder 1", "folder 1")] * (2 * MANY)).suspect == 0
