"""Trials: what a model scores with some of its layers kept in floats, each judged once, within a time, on file."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge3vt.core.clock import NS_PER_S, Clock
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import ConfigError

Scores = dict[str, float]
"""A score for each structure, higher is better: Dice against the FP32 masks or against the truth."""
Judge = Callable[[bytes], Mapping[str, float]]
Quantise = Callable[[frozenset[str]], bytes]
"""The model with all layers quantised but those named."""


class OutOfTime(Exception):
    """The time is spent; whoever asked for a trial says what is known by then."""


@dataclass(frozen=True, slots=True)
class Journal:
    """binding: what was judged and by whom; scores: by the layers kept in floats, a JSON list in order."""

    schema: int
    binding: str
    scores: dict[str, Scores] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the journal is not known, expected 1; update edge3vt")


class Trials:
    """Judges each set of kept layers once; goes on where a journal of the same binding ends.

    Raises ConfigError for a journal of other models, tables or pictures.
    """

    def __init__(
        self,
        quantise: Quantise,
        judge: Judge,
        *,
        binding: str,
        clock: Clock,
        budget_s: float,
        journal: Path | None = None,
    ) -> None:
        self._quantise, self._judge = quantise, judge
        self._clock, self._end_ns = clock, clock.now_ns() + round(budget_s * NS_PER_S)
        self._path = journal
        self.judged = 0  # in this run
        self._journal = Journal(1, binding)
        if journal is not None and journal.exists():
            self._journal = read_json(Journal, journal)
            if self._journal.binding != binding:
                raise ConfigError(
                    f"{journal}: was kept for '{self._journal.binding}', now it is '{binding}'; "
                    "name another journal, or remove this one"
                )

    def scores(self, keep_float: Collection[str]) -> Scores:
        """The scores with these layers kept. Raises OutOfTime where they are not known and no time is left."""
        key = json.dumps(sorted(keep_float))
        if key not in self._journal.scores:
            if self._clock.now_ns() >= self._end_ns:
                raise OutOfTime
            self._journal.scores[key] = dict(self._judge(self._quantise(frozenset(keep_float))))
            self.judged += 1
            if self._path is not None:
                write_json(self._journal, self._path)
        return self._journal.scores[key]
