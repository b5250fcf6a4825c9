"""A study's folder, made: pictures drawn and blinded, the AI's contours, wrong ones planted, the key kept apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge3vt import __version__
from edge3vt.clinic.design import alone, blind_ids, crossed, draw, stratum
from edge3vt.clinic.outline import contours_of
from edge3vt.clinic.planted import plant
from edge3vt.clinic.study import (
    AI,
    GIVEN,
    KEY,
    PICTURES,
    SCHEMA,
    SECRET,
    STUDY,
    WASH_OUT_DAYS,
    Case,
    Given,
    Key,
    Origin,
    Person,
    Study,
)
from edge3vt.core.clock import wall_label
from edge3vt.core.digest import sha256_bytes, sha256_file
from edge3vt.core.documents import write_bytes, write_json
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import MANIFEST, Dataset, Item
from edge3vt.data.inspection import region_of
from edge3vt.picture.blank import blanked
from edge3vt.picture.images import encoded_png, read_image, write_image

DIFFER_BELOW = 0.7  # Dice of a structure between two experts; our own choice, near that of venae cavae under 24 weeks
MOST_PLANTED = 0.5  # of the pictures

Masks = Callable[[Item], Mask]
"""The AI's mask of an item, (H, W) class indices."""


@dataclass(frozen=True, slots=True)
class Design:
    """What was asked of a plan. planted: the share of the pictures whose given contours are wrong on purpose."""

    title: str
    structures: tuple[str, ...]
    readers: tuple[str, ...]
    experts: tuple[str, str]
    adjudicator: str
    pictures: int
    seed: int
    wash_out_days: int = WASH_OUT_DAYS
    differ_below: float = DIFFER_BELOW
    planted: float = 0.0

    def __post_init__(self) -> None:
        if not self.readers:
            raise ConfigError("no reader; name them with --reader")
        if not 0 <= self.planted <= MOST_PLANTED:
            raise ConfigError(f"--planted {self.planted:g}: expected a share from 0 to {MOST_PLANTED:g}")
        if not 0 < self.differ_below <= 1:
            raise ConfigError(f"--differ-below {self.differ_below:g}: expected a Dice above 0, at most 1")

    def people(self) -> tuple[Person, ...]:
        roles = [(name, "reader") for name in self.readers] + [(name, "expert") for name in self.experts]
        return tuple(Person(name, role) for name, role in [*roles, (self.adjudicator, "adjudicator")])  # type: ignore[arg-type]


def candidates(dataset: Dataset, split: str) -> list[Item]:
    """The pictures to draw from: of a split, or "all", that show the view as far as it is told, without burnt-in text.

    Raises DataError where there is none.
    """
    of = [item for item in dataset.items if split == "all" or item.split == split]
    items = [item for item in of if item.facts.get("view") != "no" and item.facts.get("burnt_in_text") != "yes"]
    if not items:
        raise DataError(
            f"{dataset.folder}: {len(of)} pictures in the split '{split}', none of them of the view and free of text; "
            "take another split with --split"
        )
    return items


def folder_masks(folder: Path, classes: Sequence[str]) -> Masks:
    """Masks of class indices as ID.png in a folder, for what another AI has found."""

    def mask(item: Item) -> Mask:
        path = folder / f"{item.id}.png"
        found = read_image(path)
        if found.ndim != 2 or found.shape != (item.height, item.width):
            size = "x".join(str(side) for side in (found.shape[1], found.shape[0]))
            raise DataError(
                f"{path}: a mask of {size} px{' in colour' if found.ndim > 2 else ''}, expected one of its picture's "
                f"{item.width}x{item.height} px in grey; export it at the picture's size"
            )
        if int(found.max(initial=0)) >= len(classes):
            raise DataError(f"{path}: holds label {int(found.max())}, but there are {len(classes)} classes")
        return found

    return mask


def make(
    folder: Path,
    dataset: Dataset,
    items: Sequence[Item],
    masks: Masks,
    ai: str,
    design: Design,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Study, Key]:
    """Write the study; ``folder`` gets its name when it is whole. Raises DataError or ConfigError, leaving nothing."""
    if folder.exists():
        raise ConfigError(f"{folder}: exists already; choose another name")
    rng = np.random.default_rng(design.seed)
    drawn = draw(items, design.pictures, rng)
    ids = blind_ids(len(drawn), rng)
    by_id = dict(sorted(zip(ids, drawn, strict=True)))  # so that the order tells nothing either
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        found = {}
        cases = []
        for place, (id, item) in enumerate(by_id.items()):
            cases.append(_picture(partial, dataset, id, item))
            found[id] = _checked(masks(item), item, dataset.classes)
            write_image(partial / SECRET / AI / f"{id}.png", found[id])
            told(place + 1, len(by_id))
        wrong = _plant(found, dataset.classes, design, rng)
        for id, mask in found.items():
            given = wrong[id][1] if id in wrong else mask
            contours = contours_of(given, dataset.classes, design.structures)
            write_json(Given(SCHEMA, contours), partial / GIVEN / f"{id}.json")
        order = list(by_id)
        sessions = crossed(order, lambda id: (stratum(by_id[id])[0], id in wrong), design.readers, rng)
        study = Study(
            SCHEMA,
            "".join(f"{byte:02x}" for byte in rng.bytes(8)),
            design.title,
            wall_label(),
            __version__,
            dataset.classes,
            design.structures,
            design.people(),
            design.wash_out_days,
            design.differ_below,
            tuple(cases),
            (*sessions, *alone(order, design.experts, rng)),
        )
        origins = tuple(_origin(id, item, wrong[id][0] if id in wrong else "") for id, item in by_id.items())
        digest = sha256_file(dataset.folder / MANIFEST)
        key = Key(SCHEMA, study.id, dataset.name, digest, design.seed, ai, origins)
        write_json(key, partial / SECRET / KEY)
        (partial / SECRET).chmod(0o700)
        write_json(study, partial / STUDY)
        partial.replace(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error}); choose another output") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return study, key


def _picture(folder: Path, dataset: Dataset, id: str, item: Item) -> Case:
    """Write the picture under its new name, from its grey levels alone: black outside the region, where names stand."""
    pixels = dataset.picture(item)
    if pixels.shape != (item.height, item.width):
        raise DataError(f"{dataset.folder}: the picture of {item.id} has another size than it is said; audit the set")
    data = encoded_png(blanked(Frame(0, 0, pixels, region=region_of(item))).pixels)
    write_bytes(folder / PICTURES / f"{id}.png", data)
    return Case(id, sha256_bytes(data), item.width, item.height)


def _checked(mask: Mask, item: Item, classes: Sequence[str]) -> Mask:
    if mask.shape != (item.height, item.width) or int(mask.max(initial=0)) >= len(classes):
        raise DataError(f"{item.id}: the AI's mask is {mask.shape}, expected {(item.height, item.width)}")
    return mask


def _plant(
    found: dict[str, Mask], classes: Sequence[str], design: Design, rng: np.random.Generator
) -> dict[str, tuple[str, Mask]]:
    """Case -> the structure that is wrong and the mask to give, for the share that was asked for."""
    wanted = round(design.planted * len(found))
    wrong: dict[str, tuple[str, Mask]] = {}
    order = list(found)
    for place in rng.permutation(len(order)):
        if len(wrong) == wanted:
            break
        id = order[place]
        names = [design.structures[i] for i in rng.permutation(len(design.structures))]
        for name in sorted(names, key=lambda name: sum(one == name for one, _ in wrong.values())):
            mask = plant(found[id], classes.index(name), rng)
            if mask is not None and contours_of(mask, classes, [name]):
                wrong[id] = name, mask
                break
    if len(wrong) < wanted:
        raise DataError(f"room for {len(wrong)} wrong contours where --planted asks for {wanted}; ask for fewer")
    return wrong


def _origin(id: str, item: Item, planted: str) -> Origin:
    weeks, variant = item.facts.get("weeks"), item.facts.get("variant")
    return Origin(
        id,
        item.id,
        item.patient,
        item.mm_per_px,
        float(weeks) if isinstance(weeks, float | int) else None,
        None if variant is None else str(variant),
        planted,
    )
