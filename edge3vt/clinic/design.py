"""A study's design: what precision it buys, which pictures it draws, and who reads them in which order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from edge3vt.bench.summary import WEEKS
from edge3vt.clinic.agreement import Z
from edge3vt.clinic.mixed import COVERAGE
from edge3vt.clinic.study import Session
from edge3vt.core.errors import DataError
from edge3vt.data.dataset import Item

PICTURES = 101  # of the seed's reader study: Di et al. 2024, Chin J Ultrasonography 33(1):21-26
POWER = 0.8
EFFECTS = (0.2, 0.3, 0.5)  # of an SD of the paired differences
READER_SHARES = (0.0, 0.05, 0.2)  # of a difference's variance that readers' own biases make up
LETTERS = "bcdfghjkmnpqrstvwxz"  # no vowels, so no words


@dataclass(frozen=True, slots=True)
class Precision:
    """What a design buys, before any reading; in SDs of a difference.

    limits: half the 95 % interval of a limit of agreement, with one reading a picture: 1.96 sqrt(3 / n) as in Bland and
    Altman 1986. bias: half the interval of the bias, for each of READER_SHARES. power: of a paired test at 5 %, for
    each of EFFECTS; detectable: the effect that it finds in 80 % of studies.
    """

    pictures: int
    readers: int
    limits: float
    bias: dict[str, float]
    power: dict[str, float]
    detectable: float


def precision(pictures: int, readers: int) -> Precision:
    """Of pictures of one patient each, all read by all readers."""
    from scipy import optimize, stats

    if pictures < 3:
        raise DataError(f"{pictures} pictures are too few for limits of agreement, expected 3 or more")

    def power(effect: float) -> float:
        bound = stats.t.ppf((1 + COVERAGE) / 2, pictures - 1)
        return float(stats.nct(pictures - 1, effect * np.sqrt(pictures)).sf(bound))  # to the effect's own side

    return Precision(
        pictures,
        readers,
        round(Z * float(np.sqrt(3 / pictures)), 4),
        {f"{share:g}": round(_bias_half_width(pictures, readers, share), 4) for share in READER_SHARES},
        {f"{effect:g}": round(power(effect), 4) for effect in EFFECTS},
        round(float(optimize.brentq(lambda effect: power(effect) - POWER, 1e-3, 20 / np.sqrt(pictures))), 4),
    )


def _bias_half_width(pictures: int, readers: int, share: float) -> float:
    """t times sqrt(share / readers + (1 - share) / pictures), the rest of the variance being all the pictures' own."""
    from scipy import stats

    parts = share / max(readers, 1), (1 - share) / pictures
    doubt = parts[1] ** 2 / (pictures - 1) + (parts[0] ** 2 / (readers - 1) if readers > 1 else parts[0] ** 2)
    df = sum(parts) ** 2 / doubt
    return float(stats.t.ppf((1 + COVERAGE) / 2, df) * np.sqrt(sum(parts)))


def stratum(item: Item) -> tuple[str, str]:
    """The band of gestational age and the variant of a picture; "" for what is not known."""
    weeks, variant = item.facts.get("weeks"), item.facts.get("variant")
    band = ""
    if isinstance(weeks, float | int):
        band = next((name for name, low, high in WEEKS if low <= weeks < high), "other")
    return band, "" if variant is None else str(variant)


def draw(items: Sequence[Item], count: int, rng: np.random.Generator) -> list[Item]:
    """``count`` pictures: as many of each age band as there are, and within it of each variant; new patients first.

    Raises DataError where there are fewer.
    """
    if len(items) < count:
        raise DataError(f"{len(items)} pictures to draw from, expected at least {count}; take fewer with --pictures")
    waiting: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for place in rng.permutation(len(items)):
        waiting[stratum(items[place])].append(items[place])
    patients: Counter[str] = Counter()
    bands: Counter[str] = Counter()
    strata: Counter[tuple[str, str]] = Counter()
    drawn: list[Item] = []
    while len(drawn) < count:
        open_ = [key for key, left in waiting.items() if left]
        key = min(open_, key=lambda key: (bands[key[0]], strata[key]))  # ties: the order in which they were shuffled
        left = waiting[key]
        item = min(left, key=lambda item: patients[item.patient])
        left.remove(item)
        drawn.append(item)
        patients[item.patient] += 1
        bands[key[0]] += 1
        strata[key] += 1
    return drawn


def blind_ids(count: int, rng: np.random.Generator) -> list[str]:
    """New names that tell nothing, each once."""
    names: dict[str, None] = {}
    while len(names) < count:
        names["".join(rng.choice(list(LETTERS), 5))] = None
    return list(names)


def crossed(
    cases: Sequence[str], kind: Callable[[str], Hashable], readers: Sequence[str], rng: np.random.Generator
) -> list[Session]:
    """Two sessions for each reader: every case in both, once alone and once with the AI, in a new order each time.

    Half of each kind of case comes with the AI first, another half for each reader, so that neither learning nor
    tiring nor one session favours an arm.
    """
    sessions = []
    for reader in readers:
        first: list[str] = []
        kinds: dict[Hashable, list[str]] = defaultdict(list)
        for place in rng.permutation(len(cases)):
            kinds[kind(cases[place])].append(cases[place])
        extra = bool(rng.integers(2))
        for own in kinds.values():
            half = (len(own) + extra) // 2
            extra ^= len(own) % 2 == 1  # odd ones in turn
            first += own[:half]
        second = [case for case in cases if case not in set(first)]
        for number, with_ai in ((1, first), (2, second)):
            order = tuple(cases[place] for place in rng.permutation(len(cases)))
            sessions.append(Session(reader, number, order, tuple(sorted(with_ai))))
    return sessions


def alone(cases: Sequence[str], experts: Sequence[str], rng: np.random.Generator) -> list[Session]:
    """One session for each expert, every case alone."""
    return [Session(expert, 1, tuple(cases[place] for place in rng.permutation(len(cases))), ()) for expert in experts]
