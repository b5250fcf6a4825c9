"""Candidates: the engines of one recipe, made and timed side by side; the best of them is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from edge3vt.core.clock import Clock, SystemClock
from edge3vt.core.errors import ArtifactError, BackendMissingError, Edge3vtError, EngineError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Session
from edge3vt.engine.build import Keep, finished, made, make_folder, paired, placed, refuse_output
from edge3vt.engine.choice import choose, label
from edge3vt.engine.manifest import Candidate, Choice, EngineManifest, unseal
from edge3vt.engine.open import open_sealed, target
from edge3vt.engine.pace import paced
from edge3vt.engine.recipe import EngineRecipe
from edge3vt.engine.verify import verify


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """What one of several engines is made from. recipe: of one engine. prepare: gives ``build``'s prepared_bytes.

    golden: (H, W) uint8 pictures. judge: how near a session is to the truth, where models are to choose from.
    """

    recipe: EngineRecipe
    model_bytes: bytes
    prepare: Callable[[], bytes]
    golden: Sequence[Pixels]
    weights_sha256: str | None = None
    judge: Callable[[Session], float] | None = None


def build_best(
    asked: EngineRecipe,
    offers: Sequence[Offer],
    out_dir: Path,
    *,
    least_dice: float | None = None,
    overwrite: bool = False,
    release: int | None = None,
    keep: Keep | None = None,
    clock: Clock | None = None,
) -> EngineManifest:
    """Build every candidate of ``asked``, verify each, time them at its pace, and keep the one that ``choose`` names.

    offers: one for each of ``asked.singles()``. least_dice: what each judge has to give. An engine that cannot be made
    or opened here does not hold; the manifest tells of all. Otherwise as ``build``.
    """
    several = asked.candidates
    assert several is not None, "a recipe of one engine is for build"
    refuse_output(out_dir, overwrite)
    rate_hz = several.rate_hz

    def make(part: Path, key: str, release: int) -> EngineManifest:
        tried = [
            _tried(offer, label(offer.recipe, asked), part / str(i), key, release) for i, offer in enumerate(offers)
        ]
        candidates = _timed(offers, tried, part, rate_hz, least_dice, clock or SystemClock())
        kept, why = choose(candidates)
        manifest, report = tried[kept].manifest, candidates[kept].report
        assert manifest is not None, "only what was made holds"
        assert report is not None, "only what was verified holds"
        for file in (part / str(kept)).iterdir():
            file.rename(part / file.name)
        for i in range(len(offers)):
            shutil.rmtree(part / str(i), ignore_errors=True)
        choice = Choice(asked, candidates[kept].name, why, tuple(candidates))
        return finished(manifest, report, offers[kept].golden, part, choice)

    return placed(asked.name, make, out_dir, overwrite=overwrite, release=release, keep=keep)


@dataclass(frozen=True, slots=True)
class _Tried:
    """A candidate, and its manifest, or why there is none."""

    candidate: Candidate
    manifest: EngineManifest | None
    error: Edge3vtError | None = None


def _tried(offer: Offer, name: str, folder: Path, key: str, release: int) -> _Tried:
    recipe = offer.recipe
    candidate = Candidate(name, recipe.model, recipe.precision, recipe.runtime, ())
    try:
        here, pair = target(recipe.runtime), paired(recipe, offer.model_bytes, offer.prepare())
        make_folder(folder)
        manifest = made(recipe, pair, here, offer.weights_sha256, folder, key, release)
        report = verify(folder, offer.model_bytes, offer.golden)
    except (ArtifactError, BackendMissingError, EngineError) as error:
        return _Tried(replace(candidate, reasons=(str(error),)), None, error)
    return _Tried(replace(candidate, reasons=report.reasons, report=report), manifest)


def _timed(
    offers: Sequence[Offer],
    tried: Sequence[_Tried],
    part: Path,
    rate_hz: float,
    least_dice: float | None,
    clock: Clock,
) -> list[Candidate]:
    """The candidates with their times, those that do not hold too, and their Dice; all are open at once.

    Raises BackendMissingError where none could be made because each lacks its runtime.
    """
    missing = [one.error for one in tried if isinstance(one.error, BackendMissingError)]
    if len(missing) == len(tried):
        raise missing[0]
    candidates = [one.candidate for one in tried]
    there = [i for i, one in enumerate(tried) if one.manifest is not None]
    with ExitStack() as opened:
        folders = [part / str(i) for i in there]
        sessions = [opened.enter_context(closing(open_sealed(unseal(folder), folder))) for folder in folders]
        times = paced(sessions, [offers[i].golden for i in there], rate_hz, clock)
        for i, session, taken in zip(there, sessions, times, strict=True):
            judge, reasons = offers[i].judge, candidates[i].reasons
            dice = None if judge is None else judge(session)
            if dice is not None and least_dice is not None and dice < least_dice:
                reasons += (f"Dice to the truth is {dice:.3f}, at least {least_dice:.3f} was asked for",)
            candidates[i] = replace(candidates[i], paced=taken, dice=dice, reasons=reasons)
    return candidates
