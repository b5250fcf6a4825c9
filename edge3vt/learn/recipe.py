"""A training's recipe: what is trained, on what, for how long, and who teaches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edge3vt.core.errors import ConfigError
from edge3vt.data.augment import Augmentation
from edge3vt.learn.distillation import Distillation

Precision = Literal["bf16-mixed", "16-mixed", "32-true"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long, and how fast.

    The learning rate rises over ``warmup`` steps, stays, and falls to zero over the last steps. The fall begins at a
    plateau of the validation set: after ``patience`` validations, one every ``every`` steps, in which the mean Dice
    rose by less than ``gain``; at latest after ``steps`` steps. It takes ``cooldown`` of the steps taken until then.
    early_size, early_steps: smaller and so cheaper pictures at the beginning. batch: over all processes.
    """

    steps: int = 20_000
    every: int = 500
    patience: int = 6
    gain: float = 0.001
    cooldown: float = 0.4
    warmup: int = 200
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    batch: int = 8
    early_size: int | None = None
    early_steps: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "every", "patience", "batch", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"schedule: {name} is {getattr(self, name)}, expected more than 0")
        if self.batch % 2:
            raise ConfigError(f"schedule: batch is {self.batch}, expected an even number: pictures come in pairs")
        if min(self.warmup, self.cooldown, self.weight_decay, self.early_steps) < 0:
            raise ConfigError("schedule: warmup, cooldown, weight_decay and early_steps cannot be below 0")
        if (self.early_size is None) != (self.early_steps == 0):
            raise ConfigError("schedule: early_size and early_steps belong together; set both or neither")


@dataclass(frozen=True, slots=True)
class Teacher:
    """Who teaches: weights of a full-frame teacher and of one for crops, or soft labels of whatever tool.

    full, crop: weights that a training wrote; network: of ``full``, "package.module:Class", where another tool wrote
    its safetensors, for the data's classes and pictures of ``side`` px. soft: folder with a folder of soft labels for
    each data set, by its name; what is missing there is made with full and crop. looks: turned and mirrored looks at
    each picture, whose mean is its soft label. side: of them, px.
    """

    full: str | None = None
    crop: str | None = None
    network: str | None = None
    soft: str | None = None
    looks: Literal[1, 2, 4, 8] = 4
    side: int = 256

    def __post_init__(self) -> None:
        if self.soft is None and self.full is None:
            raise ConfigError("teacher: names neither full, its weights, nor soft, a folder of soft labels; add one")
        if self.crop is not None and self.full is None:
            raise ConfigError("teacher: crop has no word outside its crop; add full, the full-frame teacher's weights")
        if self.network is not None and self.full is None:
            raise ConfigError("teacher: network is the class of full, but there is no full; add its weights")
        if not 32 <= self.side <= 1024:
            raise ConfigError(f"teacher: side is {self.side}, expected 32 to 1024 px")


@dataclass(frozen=True, slots=True)
class Quantise:
    """A fine-tune under the rounding of INT8 for TensorRT, with the weights of ``init`` in FP32 as the only teacher.

    table: name or path of the calibration table of the model that those weights export to. keep_float: layers that stay
    in floats, as in the engine's recipe.
    """

    table: str
    keep_float: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training. Paths are relative to the working folder.

    data: data sets with the same classes, dealt out to train and validation. unlabelled: sets that only a teacher can
    use, all of their items. negatives: sets none of whose pictures is the view. The shares are of every batch.
    patients: use so many of each labelled set only. frozen_statistics: batch normalisation keeps its statistics.
    """

    schema: int
    name: str
    network: str
    size: int
    data: tuple[str, ...]
    training: str
    version: str = "1"
    unlabelled: tuple[str, ...] = ()
    unlabelled_share: float = 0.5
    negatives: tuple[str, ...] = ()
    negative_share: float = 0.12
    patients: int | None = None
    init: str | None = None
    seed: int = 1
    precision: Precision = "bf16-mixed"
    workers: int = 0
    frozen_statistics: bool = False
    schedule: Schedule = field(default_factory=Schedule)
    augmentation: Augmentation = field(default_factory=Augmentation)
    teacher: Teacher | None = None
    distillation: Distillation = field(default_factory=Distillation)
    quantise: Quantise | None = None

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} is not known, expected 1")
        for size in (self.size, self.schedule.early_size or self.size):
            if size % 32 or not 32 <= size <= 1024:
                raise ConfigError(f"size {size}: expected a multiple of 32 px from 32 to 1024")
        if not 0 <= self.seed < 1 << 31:
            raise ConfigError(f"seed {self.seed}: expected 0 to {(1 << 31) - 1}")
        if self.workers < 0 or (self.patients is not None and self.patients < 1):
            raise ConfigError("workers cannot be below 0, nor patients below 1")
        if not self.data:
            raise ConfigError("data is empty; name a data set folder")
        if not (0 <= self.unlabelled_share < 1 and 0 <= self.negative_share < 1):
            raise ConfigError("unlabelled_share and negative_share are shares of a batch, expected 0 to below 1")
        if self.unlabelled and self.teacher is None:
            raise ConfigError("unlabelled sets need a teacher; add [teacher], or leave them out")
        if self.quantise is not None and (self.init is None or self.teacher is not None):
            raise ConfigError(
                "[quantise] needs init, whose weights are its only teacher; set it, and leave out [teacher]"
            )
        d = self.distillation
        distils = bool(d.pseudo or d.kl or d.cwd or d.dist or d.temporal)
        if self.teacher is not None and not distils:
            named = "pseudo, kl, cwd, dist or temporal"
            raise ConfigError(f"a teacher, but every weight in [distillation] is 0; set {named}")
        if self.teacher is None and distils:
            raise ConfigError("[distillation] has weights, but there is no [teacher]; add it")
