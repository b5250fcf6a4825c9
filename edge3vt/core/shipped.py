"""Documents by name: what the package ships, and the working folder's own, which win."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edge3vt.core.documents import suggestion
from edge3vt.core.errors import ConfigError

Kind = Literal["recipe", "set", "table", "scenario", "training", "profile"]
PLACES: dict[Kind, tuple[str, str]] = {
    "recipe": ("engines/recipes", ".toml"),
    "set": ("calibration/sets", ".toml"),
    "table": ("calibration/tables", ".json"),
    "scenario": ("benchmarks/scenarios", ".toml"),
    "training": ("benchmarks/training", ".toml"),
    "profile": ("profiles", ".toml"),  # every cart has its own: none is shipped
}

_PACKAGE = Path(__file__).resolve().parents[1]
_IN_WHEEL = _PACKAGE / "shipped"
SHIPPED = _IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent  # a checkout ships its own folders


def find(kind: Kind, name: str, working: Path = Path()) -> Path:
    """The document that ``name`` means: a file, where it is written as one, else a name of ``documents(kind)``.

    Raises ConfigError with what was probably meant.
    """
    folder, suffix = PLACES[kind]
    if name.endswith(suffix) or Path(name).name != name != "":
        path = working / name
        if not path.is_file():
            raise ConfigError(f"{path}: no such {kind}; give a {suffix} file, or the name of one in {folder}")
        return path
    known = documents(kind, working)
    if name not in known:
        raise ConfigError(f"no {kind} is named '{name}'{suggestion(name, known)}")
    return known[name]


def documents(kind: Kind, working: Path = Path()) -> dict[str, Path]:
    """Every document of a kind by name; one in ``working`` hides a shipped one of the same name."""
    folder, suffix = PLACES[kind]
    return {path.stem: path for root in (SHIPPED, working) for path in sorted((root / folder).glob(f"*{suffix}"))}
