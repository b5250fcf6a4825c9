"""Is a data set sound? Rules over every file and over the set as a whole; each finding is one line with its items.

Every picture is read, by one child process for each core, as far as memory goes; the parent keeps about 2 KB of each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.documents import suggestion
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import MASKS, PICTURES, Dataset, Item
from edge3vt.data.decoder import decode_all, usual_workers
from edge3vt.data.inspection import Job, Look, inspect, percentile
from edge3vt.data.likeness import Pair, Print, near_pairs
from edge3vt.data.rules import FEW, NARROW, RULES, Severity
from edge3vt.data.split import SPLITS

MOST_PAIRS = 20_000
Found = tuple[str, tuple[str, ...], str]  # rule, items, text


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule broken once. items: those concerned, the most telling first; none where it is the whole set."""

    rule: str
    severity: Severity
    items: tuple[str, ...]
    text: str

    @property
    def line(self) -> str:
        return f"{self.severity} {self.rule}: {', '.join(self.items) + ': ' if self.items else ''}{self.text}"


@dataclass(frozen=True, slots=True)
class Tally:
    """What a split holds; shares and percentiles are of grey levels inside the regions."""

    split: str
    patients: int
    items: int
    labelled: int
    class_items: dict[str, int]
    class_pixels: dict[str, int]
    black_share: float
    saturated_share: float
    percentiles: dict[str, int]


@dataclass(frozen=True, slots=True)
class Audit:
    """The result. accepted: rules that were looked at but do not count."""

    name: str
    items: int
    patients: int
    tallies: tuple[Tally, ...]
    findings: tuple[Finding, ...]
    accepted: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)

    def by_rule(self) -> dict[str, tuple[Finding, ...]]:
        """Findings of each broken rule, errors first."""
        found = {rule: tuple(finding for finding in self.findings if finding.rule == rule) for rule in RULES}
        broken = [(rule, own) for rule, own in found.items() if own]
        return dict(sorted(broken, key=lambda pair: pair[1][0].severity != "error"))


def audit(
    dataset: Dataset,
    *,
    accept: Sequence[str] = (),
    workers: int | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Look at every item. accept: rules whose breach is a warning here. told is called with (done, total).

    Raises ConfigError for an unknown rule, BackendMissingError where no child process starts.
    """
    for rule in accept:
        if rule not in RULES:
            raise ConfigError(f"no rule is named '{rule}'{suggestion(rule, RULES)}")
    findings: list[Found] = []
    prints: list[tuple[Item, Print]] = []
    splits = [split for split in (*SPLITS, None) if dataset.of(split)]
    levels: dict[str | None, NDArray[np.int64]] = {split: np.zeros(256, np.int64) for split in splits}
    pixels: dict[str | None, NDArray[np.int64]] = {s: np.zeros(len(dataset.classes), np.int64) for s in splits}
    jobs = (Job(dataset.folder, dataset.classes, item) for item in dataset.items)
    for done, (job, look) in enumerate(decode_all(inspect, jobs, workers or usual_workers()), start=1):
        item = job.item
        if isinstance(look, DataError):
            findings.append(("file-unreadable", (item.id,), str(look).removeprefix(f"{item.id}: ")))
        elif isinstance(look, Look):
            findings += [(rule, (item.id,), text) for rule, text in look.troubles]
            levels[item.split] += look.levels
            pixels[item.split] += look.pixels
            if look.print is not None:
                prints.append((item, look.print))
        told(done, len(dataset.items))
    tallies = tuple(_tally(dataset, split, levels[split], pixels[split]) for split in splits)
    findings += [*_patients(dataset), *_near_duplicates(prints), *_splits(dataset, tallies), *_strays(dataset)]
    total = np.sum(list(levels.values()), axis=0)
    if total.any() and percentile(total, 99) - percentile(total, 1) < NARROW:
        findings.append(
            ("narrow-levels", (), f"grey levels run from {percentile(total, 1)} to {percentile(total, 99)}")
        )
    order = list(RULES)
    findings.sort(key=lambda finding: (order.index(finding[0]), finding[1]))
    return Audit(
        name=dataset.name,
        items=len(dataset.items),
        patients=len({item.patient for item in dataset.items if item.patient}),
        tallies=tallies,
        findings=tuple(
            Finding(rule, "warning" if rule in accept else RULES[rule].severity, items, text)
            for rule, items, text in findings
        ),
        accepted=tuple(accept),
    )


def _patients(dataset: Dataset) -> Iterator[Found]:
    first: dict[str, dict[str, str]] = defaultdict(dict)
    for item in dataset.items:
        if not item.patient:
            yield "no-patient", (item.id,), "it has no patient"
        elif item.split is not None:
            first[item.patient].setdefault(item.split, item.id)
    for patient, where in first.items():
        if len(where) > 1:
            yield "patient-leak", tuple(where.values()), f"the patient {patient} is in {' and '.join(where)}"


def _near_duplicates(prints: Sequence[tuple[Item, Print]]) -> Iterator[Found]:
    """Between splits first, so that no number of copies within one hides a leak; then within each split.

    Pictures of one cine are alike by nature, so they are compared only where a split parts them.
    """
    parted = [(item, each) for item, each in prints if item.split is not None]
    yield from _alike("near-duplicate-leak", parted, [item.split for item, _ in parted])
    for split in (*SPLITS, None):
        own = [(item, each) for item, each in prints if item.split == split]
        yield from _alike("duplicate", own, [item.cine or f"/{item.id}" for item, _ in own])


def _alike(rule: str, prints: Sequence[tuple[Item, Print]], groups: Sequence[object]) -> Iterator[Found]:
    """One line for each two patients, or each patient by itself, with the pair that is most alike."""
    number = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    pairs = near_pairs([each for _, each in prints], [number[group] for group in groups])
    best: dict[tuple[str, str], Pair] = {}
    count: Counter[tuple[str, str]] = Counter()
    for pair in islice(pairs, MOST_PAIRS):
        one, other = sorted((prints[pair.first][0].patient, prints[pair.second][0].patient))
        count[one, other] += 1
        if (one, other) not in best or pair.correlation > best[one, other].correlation:
            best[one, other] = pair
    for (one, other), pair in best.items():
        a, b = prints[pair.first][0], prints[pair.second][0]
        whom = f"of the patient {one}" if one == other else f"of the patients {one} and {other}"
        where = f"{a.split} and {b.split}" if a.split != b.split else a.split or "no split"
        how = "the mirror image, " if pair.mirrored else ""
        more = f"; {count[one, other]} such pairs" if count[one, other] > 1 else ""
        alike = f"correlation {pair.correlation:.2f}, {pair.bits} of 64 bits differ"
        yield rule, (a.id, b.id), f"near-duplicates {whom} in {where} ({how}{alike}){more}"
    if sum(count.values()) == MOST_PAIRS:
        yield rule, (), f"only the first {MOST_PAIRS} pairs were looked at"


def _splits(dataset: Dataset, tallies: Sequence[Tally]) -> Iterator[Found]:
    unsplit = dataset.of(None)
    if unsplit:
        yield "unsplit", (), f"{len(unsplit)} of {len(dataset.items)} items have no split"
    present = {tally.split: tally for tally in tallies}
    for split in SPLITS:
        tally = present.get(split)
        if tally is None:
            if len(unsplit) < len(dataset.items):
                yield "split-empty", (), f"{split} has no items"
            continue
        if tally.patients < FEW:
            yield "few-patients", (), f"{split} has {tally.patients}, so a figure over patients means little"
        if tally.labelled:
            for name, items in tally.class_items.items():
                if not items:
                    yield "class-absent", (), f"no item of {split} holds {name}"


def _strays(dataset: Dataset) -> Iterator[Found]:
    labelled = {item.id for item in dataset.items if item.mask_sha256 is not None}
    for kind, ids in ((PICTURES, {item.id for item in dataset.items}), (MASKS, labelled)):
        folder = dataset.folder / kind
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        strays = [name for name in names if not (name.endswith(".png") and name[:-4] in ids)]
        if strays:
            yield "stray-file", (), f"{len(strays)} files in {kind} belong to no item, as {strays[0]!r}"


def _tally(dataset: Dataset, split: str | None, levels: NDArray[np.int64], pixels: NDArray[np.int64]) -> Tally:
    items = dataset.of(split)
    names = dataset.classes[1:]
    total = max(int(levels.sum()), 1)
    return Tally(
        split=split or "no split",
        patients=len({item.patient for item in items if item.patient}),
        items=len(items),
        labelled=sum(item.mask_sha256 is not None for item in items),
        class_items={name: sum(name in item.classes for item in items) for name in names},
        class_pixels=dict(zip(names, pixels[1:].tolist(), strict=True)),
        black_share=int(levels[0]) / total,
        saturated_share=int(levels[255]) / total,
        percentiles={f"p{percent}": percentile(levels, percent) for percent in (1, 50, 99)},
    )
