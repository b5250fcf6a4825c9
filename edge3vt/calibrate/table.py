"""CalibrationTable: the ranges that a model's tensors took on a set, bound to model, set and preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import to_json
from edge3vt.core.errors import ArtifactError

Method = Literal["minmax", "percentile", "entropy", "mse"]
SCHEMA = 2
PREPROCESSING = "picture.crop 1: full-range luma, square crop, bilinear and halved by means, uint8"
"""How pictures reach the network; what follows is inside the graph. A table observed under another wording is
foreign: whoever changes what ``picture.crop.cut`` makes counts its number up."""


@dataclass(frozen=True, slots=True)
class TensorRange:
    """The values a tensor took, in its own units; ``min`` <= ``max``, both finite."""

    min: float
    max: float

    def __post_init__(self) -> None:
        if not self.min <= self.max:
            raise ArtifactError(f"a range from {self.min} to {self.max} is empty; calibrate again")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationTable:
    """set_name: a label. set_sha256: of the set's document, None for pictures that no document asked for.
    frames_sha256: over the pixels of all frames in order, as fed. made_by: which edge3vt observed it."""

    schema: int
    model: str
    model_sha256: str
    set_name: str
    set_sha256: str | None = None
    frames_sha256: str
    frames: int
    preprocessing: str
    method: Method
    made_by: str = ""
    ranges: dict[str, TensorRange]

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            remedy = "calibrate again" if self.schema < SCHEMA else "update edge3vt"
            raise ArtifactError(f"schema {self.schema} of the table is not known, expected {SCHEMA}; {remedy}")

    @property
    def sha256(self) -> str:
        """The hash of the table's file as ``write_json`` writes it."""
        return sha256_bytes(to_json(self).encode())


def refuse_foreign(table: CalibrationTable, model_bytes: bytes) -> None:
    """Raise ArtifactError unless ``table`` was observed on exactly this model and with today's preprocessing."""
    found = sha256_bytes(model_bytes)
    remedy = "calibrate this model: edge3vt calibrate MODEL.onnx SET -o TABLE.json"
    if table.model_sha256 != found:
        raise ArtifactError(
            f"the calibration table is of another model ({table.model}, SHA-256 {table.model_sha256[:12]}…, "
            f"expected {found[:12]}…); {remedy}"
        )
    if table.preprocessing != PREPROCESSING:
        raise ArtifactError(
            f"the calibration table was observed with other preprocessing ('{table.preprocessing}', "
            f"expected '{PREPROCESSING}'); {remedy}"
        )


def refuse_same_set(table: CalibrationTable, set_sha256: str, name: str) -> None:
    """Raise ArtifactError where an engine would be verified on the very set that ``table`` was observed on."""
    if table.set_sha256 == set_sha256:
        raise ArtifactError(
            f"the golden set {name} is the set that the calibration table was observed on, so it would prove "
            "nothing; name another one in the recipe"
        )
