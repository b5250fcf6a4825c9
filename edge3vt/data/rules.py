"""What an audit looks for, how much a breach weighs, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]

FEW = 3  # patients of a split; like the other limits our own choice
FLAT = 24  # grey levels between the 1st and 99th percentile of a picture
NARROW = 64  # and of the whole set
SATURATED = 0.05  # of a picture's pixels


@dataclass(frozen=True, slots=True)
class Rule:
    """expected: what holds where the rule does. remedy: what to do where it does not."""

    severity: Severity
    expected: str
    remedy: str


_AGAIN = "import the data set again"
_GROUP = "import again and say what pictures of one patient share (--patient-from), or leave one of the two out"

RULES: dict[str, Rule] = {
    "no-patient": Rule("error", "every item tells whom it shows", _GROUP.split(",")[0]),
    "patient-leak": Rule("error", "no patient is in two splits", "edge3vt data split --overwrite"),
    "near-duplicate-leak": Rule(
        "error",
        "no picture has a near-duplicate in another split",
        "edge3vt data split --overwrite --together-like; or leave one of the two out",
    ),
    "file-missing": Rule("error", "every file of the manifest is there", f"restore it, or {_AGAIN}"),
    "file-changed": Rule("error", "every file has the SHA-256 of the manifest", f"restore it, or {_AGAIN}"),
    "file-unreadable": Rule("error", "every file is a grey picture", _AGAIN),
    "size-mismatch": Rule("error", "picture, mask and manifest have one size", "correct the mask and import it again"),
    "unknown-label": Rule("error", "masks hold known classes only", "correct the mask, or name the class, and import"),
    "classes-wrong": Rule("error", "masks hold the classes that the manifest says", _AGAIN),
    "one-class-mask": Rule("error", "no mask is all of one class", "draw it again, or leave the picture out"),
    "blank-picture": Rule("error", "no picture is of one level, unless its mask is empty", "leave it out"),
    "outside-lit": Rule(
        "error",
        "pictures are black outside their region",
        "import without --keep-outside; or look at the pictures, and accept the rule where none shows a name",
    ),
    "burnt-in": Rule(
        "error",
        "no DICOM header says that text is burnt into its picture",
        "look at the pictures; where one shows a name, import with --region and look again; then accept the rule",
    ),
    "text-unblanked": Rule(
        "error",
        "no picture without a region, so not blanked on import, holds marks like text on level ground",
        "look at the pictures; where it is text, import with --region; where none is, accept the rule",
    ),
    "text-like": Rule(
        "warning",
        "no picture with a region holds marks like text on level ground",
        "look at the pictures; where it is text, import with --region",
    ),
    "duplicate": Rule("warning", "pictures of a split are near-duplicates within one cine only", _GROUP),
    "empty-mask": Rule(
        "warning", "masks hold a structure, unless a phantom says view: no", "fine where none is seen; else draw it"
    ),
    "flat-picture": Rule("warning", f"grey levels of a picture span {FLAT} or more", "leave it out"),
    "saturated-picture": Rule("warning", f"at most {SATURATED:.0%} of a picture are saturated", "leave it out"),
    "narrow-levels": Rule("warning", f"grey levels of the set span {NARROW} or more", "export with the full range"),
    "class-absent": Rule("warning", "every class is in every split that has masks", "label more, or split again"),
    "few-patients": Rule("warning", f"every split has {FEW} patients or more", "import more patients, or split again"),
    "split-empty": Rule("warning", "train, validation and test have items", "edge3vt data split --overwrite"),
    "unsplit": Rule("warning", "every item has a split", "edge3vt data split; --keep leaves those that have one"),
    "stray-file": Rule("warning", "every file of the folder is in the manifest", "remove it"),
}
