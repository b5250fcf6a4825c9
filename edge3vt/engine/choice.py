"""Choosing: which of the engines that a build made it keeps, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence

from edge3vt.core.errors import GateError
from edge3vt.engine.manifest import Candidate
from edge3vt.engine.recipe import EngineRecipe

SAME = 1.05
"""Medians no further apart are the same: the more accurate engine is then the better one. Three copies of one engine,
timed as here at 60 Hz on a busy core, were up to 2 % apart in four tries."""


def choose(candidates: Sequence[Candidate]) -> tuple[int, str]:
    """Which to keep, and why: of those that hold their limits the one of the least median at the camera's pace.

    Among medians that are the same the one nearest to the truth, where that is known, then nearest to FP32, is kept.
    Raises GateError where none holds.
    """
    times = {i: c.paced.p50 for i, c in enumerate(candidates) if not c.reasons and c.paced and c.paced.p50 is not None}
    if not times:
        raise GateError(f"no candidate holds its limits: {'; '.join(map(told, candidates))}")
    fastest = min(times, key=lambda i: times[i])
    same = [i for i in times if times[i] <= times[fastest] * SAME]
    kept = max(same, key=lambda i: (_accuracy(candidates[i]), -times[i]))
    name = candidates[kept].name
    if kept != fastest:
        why = f"{candidates[fastest].name} is not faster by more than {SAME - 1:.0%}, and less accurate"
    elif len(times) == 1:
        why = "the only one that holds its limits"
    else:
        why = "the fastest that holds its limits"
    return kept, f"{'; '.join(map(told, candidates))}; {name} kept: {why}"


def label(recipe: EngineRecipe, asked: EngineRecipe) -> str:
    """What tells a candidate from the others of ``asked``."""
    several = asked.candidates
    if several is None:
        return recipe.precision
    parts = [recipe.model] if len(several.models) > 1 else []
    parts += [recipe.precision] if len(several.precisions) > 1 else []
    parts += [recipe.runtime] if len(several.runtimes) > 1 else []
    return " ".join(parts)


def told(candidate: Candidate) -> str:
    """A candidate in words, as in "int8: 1.3 ms, p99 2.0"."""
    words = []
    if candidate.paced is not None and candidate.paced.p50 is not None:
        p99 = "unknown" if candidate.paced.p99 is None else f"{candidate.paced.p99:.2f}"
        words.append(f"{candidate.paced.p50:.2f} ms, p99 {p99}")
    if candidate.dice is not None:
        words.append(f"Dice {candidate.dice:.3f}")
    if candidate.reasons:
        words.append(f"not held ({', '.join(candidate.reasons)})")
    return f"{candidate.name}: {', '.join(words)}"


def _accuracy(candidate: Candidate) -> tuple[float, float]:
    return candidate.dice or 0.0, candidate.report.agreement if candidate.report else 0.0
