"""ModelSpec: what a model is, written into the ONNX file that holds it."""

from __future__ import annotations

from dataclasses import dataclass

from edge3vt.core.anatomy import MAX_CLASSES
from edge3vt.core.errors import ArtifactError

INPUT = "pixels"  # uint8 (1, 1, H, W), normalised inside the graph
LOGITS = "logits"  # float32 (1, C, H/s, W/s)
VIEW = "view"  # float32 (1, 1), the logit of "this is the view"; optional
METADATA_KEY = "edge3vt.spec"
WEIGHTS_KEY = "edge3vt.weights"  # in an exported model: SHA-256 of the file of weights that it was made from
SOURCE_KEY = "edge3vt.source"  # in a quantised model: SHA-256 of the FP32 model that it was made from
TABLE_KEY = "edge3vt.table"  # and of the calibration table


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The engine contract of one model. ``training`` is shown on the picture ("trained on synthetic images")."""

    schema: int
    name: str
    version: str
    classes: tuple[str, ...]
    height: int
    width: int
    stride: int
    has_view: bool
    full_range: bool
    training: str

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ArtifactError(
                f"model spec of {self.name}: schema {self.schema} is not known, expected 1; update edge3vt"
            )
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            raise ArtifactError(
                f"model spec of {self.name}: {len(self.classes)} classes, expected 2 to {MAX_CLASSES}; "
                "merge classes before training"
            )
        if min(self.stride, self.height, self.width) < 1 or self.height % self.stride or self.width % self.stride:
            raise ArtifactError(
                f"model spec of {self.name}: {self.height}x{self.width} is not a multiple of the stride {self.stride}; "
                "export the model again"
            )

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return (1, 1, self.height, self.width)

    @property
    def logits_shape(self) -> tuple[int, int, int, int]:
        return (1, len(self.classes), self.height // self.stride, self.width // self.stride)

    @property
    def model_id(self) -> str:
        return f"{self.name}-{self.version}"
