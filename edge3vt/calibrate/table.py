"""CalibrationTable: the ranges that a model's tensors took on a set, bound to that model by its hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import to_json
from edge3vt.core.errors import ArtifactError

Method = Literal["minmax", "percentile"]
PREPROCESSING = "full-range luma, square crop, picture.crop.cut, uint8"
"""How pictures reach the network. A table observed under another wording is foreign."""


@dataclass(frozen=True, slots=True)
class TensorRange:
    """The values a tensor took, in its own units; ``min`` <= ``max``, both finite."""

    min: float
    max: float

    def __post_init__(self) -> None:
        if not self.min <= self.max:
            raise ArtifactError(f"a range from {self.min} to {self.max} is empty; calibrate again")


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """``frames_sha256`` is over the pixels of all frames in order; ``set_name`` is a label."""

    schema: int
    model: str
    model_sha256: str
    set_name: str
    frames_sha256: str
    frames: int
    preprocessing: str
    method: Method
    ranges: dict[str, TensorRange]

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ArtifactError(f"schema {self.schema} of the table is not known, expected 1; update edge3vt")

    @property
    def sha256(self) -> str:
        """The hash of the table's file as ``write_json`` writes it."""
        return sha256_bytes(to_json(self).encode())


def refuse_foreign(table: CalibrationTable, model_bytes: bytes) -> None:
    """Raise ArtifactError unless ``table`` was observed on exactly this model and with today's preprocessing."""
    found = sha256_bytes(model_bytes)
    remedy = "calibrate this model: edge3vt calibrate MODEL.onnx SET"
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
