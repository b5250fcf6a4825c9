"""What each structure is called in DICOM: coded concepts for segments.

Values and meanings are those of DICOM PS3.16: categories from CID 7150, types from CID 7151 and 7192, as pydicom's
dictionary of PS3.16 lists them (a test holds them against it). A class that is none of the 3VT view's, from a user's
own class map, has no such code and gets one of ``PRIVATE``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge3vt.core.anatomy import CLASS_NAMES, Structure
from edge3vt.core.digest import sha256_bytes

PRIVATE = "99EDGE3VT"
"""A private coding scheme, as PS3.16 section 8 has it: designators that begin with 99."""


@dataclass(frozen=True, slots=True)
class Concept:
    """A coded entry. value: at most 16 characters; meaning: at most 64."""

    value: str
    scheme: str
    meaning: str


ANATOMICAL = Concept("91723000", "SCT", "Anatomical Structure")
TYPES: dict[str, Concept] = {
    CLASS_NAMES[Structure.PULMONARY_ARTERY]: Concept("81040000", "SCT", "Pulmonary artery"),
    CLASS_NAMES[Structure.AORTIC_ARCH]: Concept("57034009", "SCT", "Aortic arch"),
    CLASS_NAMES[Structure.SUPERIOR_VENA_CAVA]: Concept("48345005", "SCT", "Superior vena cava"),
    CLASS_NAMES[Structure.TRACHEA]: Concept("44567001", "SCT", "Trachea"),
    CLASS_NAMES[Structure.SPINE]: Concept("421060004", "SCT", "Spine"),
}
REMARKS = {CLASS_NAMES[Structure.PULMONARY_ARTERY]: "fetal; with the arterial duct"}
"""What the code does not say. No code of these lists says that a structure is a fetus's."""


def concept_of(name: str) -> Concept:
    """The type of a class: by its name where it is one of the view's, else a private code."""
    if name in TYPES:
        return TYPES[name]
    plain = printable(name)
    short = plain == name and len(name) <= 16
    return Concept(name if short else f"class-{sha256_bytes(name.encode())[:10]}", PRIVATE, plain)


def remark_of(name: str) -> str:
    return REMARKS.get(name, "fetal" if name in TYPES else "a class of the user's own class map")


def printable(text: str, most: int = 64) -> str:
    """A text that every character set of DICOM holds: printable ASCII without the backslash, cut to ``most``."""
    return re.sub(r"[^ -~]|\\", "?", text)[:most] or "?"
