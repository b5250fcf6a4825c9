"""Whose pictures a set holds, once all files were read: headers that name nobody, and headers that name anybody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from edge3vt.data.dataset import Item
from edge3vt.data.pseudonym import pseudonym

MANY = 5  # files under one patient, and most of all, look like a placeholder; our own choice
PLACEHOLDERS = (
    *("0", "00", "000", "0000", "00000", "000000", "00000000", "123", "1234", "12345", "123456", "-", ".", "?", "x"),
    *("anon", "anonym", "anonymous", "anonymized", "anonymised", "unknown", "none", "null", "na", "n/a", "noid"),
    *("no id", "test", "patient", "demo", "default", "xxx"),
)
DOUBTED = ("patient_id", "placeholder")  # a fact of pictures whose header has one for an ID
Place = tuple[str | None, str]  # the group that the user makes of a file, and its path for messages
Places = Mapping[str, Sequence[Place]]  # of the item or cine of an id: wherever the same content lies


@dataclass(frozen=True, slots=True)
class Known:
    """items: each with its patient. joined: files that are their group's only patient's. refused: why, by id.

    headed: files whose header names a patient. suspect: those of them under what looks like a placeholder.
    """

    items: tuple[Item, ...]
    joined: int
    headed: int
    suspect: int
    refused: dict[str, str]


def known(items: Iterable[Item], places: Places, key: bytes) -> Known:
    """Give files whose header names nobody to the one patient whom their group's other headers name.

    Where these name several patients such a file is refused; where they name none, the group is the patient.
    """
    items = tuple(items)
    patient = {item.cine or item.id: item.patient for item in items}
    groups = {id: [group for group, _ in places[id] if group is not None] for id in patient}
    bare = {id for id in patient if patient[id] in [pseudonym(key, group) for group in groups[id]]}
    named: dict[str, set[str]] = defaultdict(set)  # group -> patients
    files: dict[str, int] = defaultdict(int)  # patient -> how many
    for id in patient.keys() - bare:
        files[patient[id]] += 1
        for group in groups[id]:
            named[group].add(patient[id])
    joined, refused = 0, {}
    for id in sorted(bare):
        found: set[str] = set().union(*(named.get(group, ()) for group in groups[id]))
        if len(found) == 1:
            (patient[id],) = found
            joined += 1
        elif found:
            del patient[id]
            refused[id] = (
                f"{places[id][0][1]}: its header names no patient, and those of its group name {len(found)}; put it "
                "into that patient's folder, or make other groups with --patient-from"
            )
    return Known(
        tuple(replace(i, patient=patient[at]) for i in items if (at := i.cine or i.id) in patient),
        joined,
        sum(files.values()),
        _suspect(files, len({i.cine or i.id for i in items if DOUBTED in i.facts.items()})),
        refused,
    )


def _suspect(files: Mapping[str, int], doubted: int) -> int:
    """How many files one patient has who may be none, or ``doubted``, whose ID is a placeholder."""
    most = max(files.values(), default=0)
    if most >= MANY and 2 * most > sum(files.values()):
        return most
    return doubted
