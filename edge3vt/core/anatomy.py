"""The structures of the three-vessel-trachea view, and what is known of their sizes.

Classes are fixed: 0 background, 1 pulmonary artery with duct, 2 aortic arch, 3 superior vena cava (a left one
too), 4 trachea, 5 spine. Dice, IoU and PA are over the first four structures; the spine gives the orientation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from edge3vt.core.errors import ConfigError


class Structure(IntEnum):
    """Class indices of the 3VT view, as they stand in every mask."""

    BACKGROUND = 0
    PULMONARY_ARTERY = 1
    AORTIC_ARCH = 2
    SUPERIOR_VENA_CAVA = 3
    TRACHEA = 4
    SPINE = 5


CLASS_NAMES: tuple[str, ...] = (
    "background",
    "pulmonary_artery",
    "aortic_arch",
    "superior_vena_cava",
    "trachea",
    "spine",
)
SCORED: tuple[Structure, ...] = (
    Structure.PULMONARY_ARTERY,
    Structure.AORTIC_ARCH,
    Structure.SUPERIOR_VENA_CAVA,
    Structure.TRACHEA,
)
MAX_CLASSES = 64


@dataclass(frozen=True, slots=True)
class ClassMap:
    """A user's own names for the classes of a model, in order. The rules of the 3VT view then do not apply."""

    schema: int
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"class map: schema {self.schema} is not known, expected 1")
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            raise ConfigError(f"class map: {len(self.classes)} classes, expected 2 to {MAX_CLASSES}; merge some")
        if self.classes[0] != "background":
            raise ConfigError(f"class map: class 0 is '{self.classes[0]}', expected 'background'; put it first")
        if len(set(self.classes)) != len(self.classes):
            raise ConfigError("class map: a class stands twice; name each once")


@dataclass(frozen=True, slots=True)
class Regression:
    """Diameter in mm = intercept + slope * gestational age in weeks."""

    intercept_mm: float
    slope_mm_per_week: float

    def diameter_mm(self, gestational_weeks: float) -> float:
        return self.intercept_mm + self.slope_mm_per_week * gestational_weeks


# Zalel et al. 2004, Prenat Diagn 24:174-178; 338 normal fetuses, 14-38 weeks.
ZALEL_2004: dict[Structure, Regression] = {
    Structure.PULMONARY_ARTERY: Regression(-2.275, 0.273),
    Structure.AORTIC_ARCH: Regression(-1.77, 0.227),
    Structure.SUPERIOR_VENA_CAVA: Regression(-0.98, 0.142),
}
