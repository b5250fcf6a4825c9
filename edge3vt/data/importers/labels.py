"""A user's class map: the classes of a set, and what stands for them in the masks of a source. A TOML file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from edge3vt.core.anatomy import ClassMap
from edge3vt.core.documents import suggestion
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import Split

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class LabelMap:
    """classes: the set's, background first.

    labels: what a mask holds -> class: a colour ("#800000"), a grey level or palette index ("2"), or a name; several
    may become one class, and what becomes "background" is left out. A name that is not listed is a class itself; black
    and 0 are background where they are not listed.
    pictures, masks: of a source of pictures, the names of the folders that hold them; no masks: "".
    splits: folders of the source whose pictures belong to a split.
    blanked: the user's word that the pictures hold nothing outside the ultrasound picture, such as a name.
    """

    schema: int
    classes: tuple[str, ...]
    labels: dict[str, str] = field(default_factory=dict)
    pictures: str = "images"
    masks: str = "masks"
    splits: dict[str, Split] = field(default_factory=dict)
    blanked: bool = False

    def __post_init__(self) -> None:
        ClassMap(self.schema, self.classes)
        for label, name in self.labels.items():
            if name not in self.classes:
                raise ConfigError(f"labels: '{label}' is '{name}', which is no class{suggestion(name, self.classes)}")

    def index_of(self, label: str) -> int:
        """The class of a label that is a name; raises DataError for one that is unknown."""
        name = self.labels.get(label, label)
        if name not in self.classes:
            raise DataError(f"the label {label[:40]!r} is no class{suggestion(name[:40], self.classes[:20])}")
        return self.classes.index(name)

    def colours(self) -> dict[int, int]:
        """0xRRGGBB -> class, a grey level as the grey that it is. Raises ConfigError for a label that is neither."""
        table = {0: 0}
        for label, name in self.labels.items():
            if _COLOUR.fullmatch(label):
                colour = int(label[1:], 16)
            elif label.isascii() and label.isdigit() and int(label) <= 255:
                colour = int(label) * 0x010101
            else:
                raise ConfigError(f"labels: found '{label}', expected a colour such as '#800000' or a level 0 to 255")
            table[colour] = self.classes.index(name)
        return table

    def levels(self) -> bool:
        """Whether every label is a grey level or palette index, so that a palette's colours do not count."""
        return bool(self.labels) and not any(_COLOUR.fullmatch(label) for label in self.labels)
