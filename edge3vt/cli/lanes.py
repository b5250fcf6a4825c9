"""The engine of a run: opened in its lane, with a smaller one for the ladder, in its place on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edge3vt.cli.output import note
from edge3vt.core.anatomy import ClassMap
from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.manifest import EngineManifest, read
from edge3vt.engine.open import open_engine
from edge3vt.engine.place import recover
from edge3vt.engine.slots import active
from edge3vt.stream.child import Scheduling, realtime_permitted
from edge3vt.stream.descent import Descent
from edge3vt.stream.ladder import Heat, Ladder, Rung
from edge3vt.stream.lane import ThreadLane
from edge3vt.stream.supervised import SupervisedLane

KEEP_WARM_MS = 50.0
LOOP_PRIORITY, ENGINE_PRIORITY = 20, 10
"""Real-time: the picture comes before its overlay (rule R1). The unit of the service allows 20."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The engine folder of a run, and a smaller one for when it is late. classes: a file of other names for both."""

    folder: Path
    smaller: Path | None = None
    classes: Path | None = None

    def opener(self, folder: Path) -> partial[Session]:
        """What opens one of them, also in another process. Raises ConfigError for a class map that is none."""
        names = None if self.classes is None else read_toml(ClassMap, self.classes)
        return partial(_open_renamed, folder, names, str(self.classes))


def open_lane(
    engine: Path | Engines, *, supervised: bool = False, standby: bool = False, place: Scheduling | None = None
) -> ThreadLane | SupervisedLane:
    """The engine in a thread, or in a process that is replaced; a smaller one stands in where memory is short."""
    engines = engine if isinstance(engine, Engines) else Engines(engine)
    opener = engines.opener(engines.folder)
    if not supervised:
        return ThreadLane(opener)
    cheaper = None
    if engines.smaller is not None:
        _same_classes(engines.folder, engines.smaller)
        cheaper = engines.opener(engines.smaller)
    return SupervisedLane(opener, standby=standby, cheaper=cheaper, scheduling=place, keep_warm_ms=KEEP_WARM_MS)


def descent(lane: SupervisedLane, engines: Engines, budget_ms: float, heat: Callable[[], Heat | None]) -> Descent:
    """The ladder of a live run; without a smaller engine its rung is left out."""
    openers = {Rung.FULL: engines.opener(engines.folder)}
    if engines.smaller is not None:
        openers[Rung.SMALLER] = engines.opener(engines.smaller)
    rungs = [rung for rung in Rung if rung is not Rung.SMALLER or rung in openers]
    return Descent(Ladder(round(budget_ms * NS_PER_MS), rungs), lane, dict(openers), heat)


def manifest_of(folder: Path) -> EngineManifest:
    """Of an engine folder, or of the active one in slots. Raises ArtifactError."""
    inside = active(folder)
    recover(inside)
    return read(inside)


def described(manifest: EngineManifest) -> dict[str, Any]:
    """What a document says of an engine."""
    return {
        "name": manifest.name,
        "release": manifest.release,
        "sha256": manifest.sha256,
        "model": manifest.spec.model_id,
        "runtime": manifest.recipe.runtime,
        "precision": manifest.recipe.precision,
    }


def told(manifest: EngineManifest) -> str:
    """The same in a line for people."""
    return (
        f"engine {manifest.name}, release {manifest.release}, sha256 {manifest.sha256[:12]}: "
        f"{manifest.spec.model_id}, {manifest.recipe.precision} on {manifest.recipe.runtime}"
    )


def places(cores: str | None, *, realtime: bool) -> tuple[Scheduling, Scheduling]:
    """Of the loop and of the engine. cores: LOOP,ENGINE. Where real time is not permitted, a note says so.

    Raises ConfigError for what is no pair of this machine's cores.
    """
    loop, engine = Scheduling(), Scheduling()
    if cores is not None:
        try:
            first, second = (int(core) for core in cores.split(","))
        except ValueError:
            raise ConfigError(f"--cores is '{cores}', expected LOOP,ENGINE, as in 0,1") from None
        loop, engine = replace(loop, cpus=(first,)), replace(engine, cpus=(second,))
        for place in (loop, engine):
            with place.held():  # asked for, not kept
                pass
    if realtime and realtime_permitted(LOOP_PRIORITY):
        loop, engine = replace(loop, realtime=LOOP_PRIORITY), replace(engine, realtime=ENGINE_PRIORITY)
    elif realtime:
        note("real-time priority is not permitted to this user (LimitRTPRIO=, CAP_SYS_NICE): running without it")
    return loop, engine


def _same_classes(folder: Path, smaller: Path) -> None:
    one, other = manifest_of(folder).spec, manifest_of(smaller).spec
    if one.classes != other.classes:
        raise ConfigError(
            f"{smaller}: classes {', '.join(other.classes)}, but {folder} has {', '.join(one.classes)}; "
            "choose a smaller engine of the same classes"
        )


class _Renamed:
    """A session whose classes have other names."""

    def __init__(self, session: Session, spec: ModelSpec) -> None:
        self._session, self.spec = session, spec
        self.run, self.close = session.run, session.close


def _open_renamed(engine: Path, names: ClassMap | None, where: str) -> Session:
    session = open_engine(engine)
    if names is not None:
        if len(names.classes) != len(session.spec.classes):
            raise ConfigError(
                f"{where}: {len(names.classes)} classes, but the engine has {len(session.spec.classes)} "
                f"({', '.join(session.spec.classes)}); name each of them once"
            )
        return _Renamed(session, replace(session.spec, classes=names.classes))
    return session
