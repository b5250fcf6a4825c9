"""A saved baseline of the stages, as pytest-benchmark writes and compares it, without a name of machine or person."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edge3vt.core.errors import ConfigError
from edge3vt.core.machine import this_machine

PRIVATE = ("node", "release")  # of pytest-benchmark's machine: its name in the network, its kernel
COMMIT = ("id", "time", "dirty")  # what is kept of the commit


@dataclass(frozen=True, slots=True)
class Baseline:
    """The keys are pytest-benchmark's; times are in s. machine_info: ours stands in it as "machine"."""

    machine_info: dict[str, Any]
    commit_info: dict[str, Any]
    benchmarks: tuple[dict[str, Any], ...]
    datetime: str
    version: str

    def __post_init__(self) -> None:
        if "machine" not in self.machine_info or any(name in self.machine_info for name in PRIVATE):
            raise ConfigError("the baseline was not saved by benchmarks/stages; save it again from there")


def cleaned(saved: dict[str, Any]) -> dict[str, Any]:
    """What pytest-benchmark is about to write, with this machine's fingerprint instead of its name."""
    kept = {name: value for name, value in saved["machine_info"].items() if name not in PRIVATE}
    commit = {name: saved["commit_info"][name] for name in COMMIT if name in saved["commit_info"]}
    return saved | {"machine_info": kept | {"machine": asdict(this_machine())}, "commit_info": commit}
