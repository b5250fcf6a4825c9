"""A value with its confidence: the weakest of what speaks for it; withheld, in words, where that is not enough."""

from __future__ import annotations

from dataclasses import dataclass

EARNED = 0.5
Factor = tuple[float, str]
"""What speaks for a value, 0 to 1, and the words for it where it is less than EARNED."""


@dataclass(frozen=True, slots=True)
class Value:
    """One measurement. value: a number or a word, None where it is withheld. withheld: why."""

    value: float | str | None
    confidence: float
    withheld: str = ""


def judged(value: float | str, *factors: Factor) -> Value:
    """``value`` if all that speaks for it is enough."""
    confidence, words = min(factors)
    confidence = round(min(max(confidence, 0.0), 1.0), 3)
    if confidence < EARNED:
        return Value(None, confidence, words)
    return Value(round(value, 4) if isinstance(value, float) else value, confidence)


def missing(words: str) -> Value:
    """Nothing speaks for a value."""
    return Value(None, 0.0, words)


def ramp(value: float, none: float, full: float) -> float:
    """0 at ``none``, 1 at ``full``, in between linear, and half way between them just earned."""
    return min(max((value - none) / (full - none), 0.0), 1.0)
