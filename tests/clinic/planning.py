"""Small studies: painted vessels, simulated readers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge3vt.clinic.desk import StudyDesk
from edge3vt.clinic.plan import Design, candidates, folder_masks, make
from edge3vt.clinic.simulated import SimulatedReader, read_session, steady
from edge3vt.clinic.study import Key, Study, read_key, read_study
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import Dataset, read_dataset
from edge3vt.data.writer import DatasetWriter
from edge3vt.picture.images import write_image

STRUCTURES = CLASS_NAMES[1:5]
MM_PER_PX = 0.25
SIDE = 112
FIRST, SECOND = "2026-01-05T09:00:00+00:00", "2026-02-09T09:00:00+00:00"


def vessels(seed: int) -> Mask:
    """Two bands, two discs and a spine, of sizes that the seed draws."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for label, (x, y) in ((1, (26, 50)), (2, (50, 50)), (3, (74, 46)), (4, (66, 74)), (5, (50, 96))):
        grown = float(rng.uniform(0.8, 1.25))
        size = {1: (8, 26), 2: (7, 24), 3: (9, 9), 4: (6, 6), 5: (9, 9)}[label]
        axes = tuple(max(round(side * grown), 4) for side in size)
        cv2.ellipse(mask, (x + int(rng.integers(-2, 3)), y), axes, 0, 0, 360, label, -1)
    return mask


def make_set(folder: Path, patients: int = 6, each: int = 2) -> Dataset:
    """Pictures of fetuses of 20 to 34 weeks, of two variants."""
    with DatasetWriter(folder, "painted", CLASS_NAMES, resume=False) as writer:
        for patient in range(patients):
            for index in range(each):
                mask = vessels(10 * patient + index)
                noise = np.random.default_rng([patient, index]).integers(0, 60, mask.shape)
                picture = np.where(mask > 0, 20, 120) + noise
                facts: dict[str, float | str] = {
                    "weeks": 20.0 + 14 * patient / max(patients - 1, 1),
                    "variant": "normal" if patient % 3 else "dilated_artery",
                }
                writer.add(
                    f"p{patient}-{index}",
                    picture.astype(np.uint8),
                    mask,
                    patient=f"p{patient}",
                    source="painted",
                    mm_per_px=MM_PER_PX,
                    split="test",
                    facts=facts,
                )
    return read_dataset(folder)


def plan(folder: Path, dataset: Dataset, **changes: object) -> tuple[Study, Key]:
    """A study in ``folder`` whose AI draws a pixel too small."""
    masks = folder.parent / "ai"
    for item in dataset.items:
        mask = dataset.mask(item)
        thin = cv2.erode((mask > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        write_image(masks / f"{item.id}.png", np.where(thin > 0, mask, 0).astype(np.uint8))
    asked: dict[str, object] = {
        "title": "Painted vessels",
        "structures": STRUCTURES,
        "readers": ("ann", "ben"),
        "experts": ("eva", "finn"),
        "adjudicator": "gil",
        "pictures": 6,
        "seed": 3,
        "planted": 0.34,
    }
    design = Design(**(asked | changes))  # type: ignore[arg-type]
    items = candidates(dataset, "all")
    return make(folder, dataset, items, folder_masks(masks, dataset.classes), "painted, eroded", design)


def truth_of(dataset: Dataset, key: Key):  # type: ignore[no-untyped-def]
    items = {item.id: item for item in dataset.items}

    def truth(case: str) -> tuple[Mask, float]:
        item = items[key.of(case).item]
        return dataset.mask(item), item.mm_per_px or 1.0

    return truth


def read_all(
    folder: Path, dataset: Dataset, biases_mm: dict[str, float], follow: float = 0.5, jitter_mm: float = 0.05
) -> None:
    """Everybody reads everything, by hands of these biases, experts by one of none."""
    study = read_study(folder)
    truth = truth_of(dataset, read_key(folder, study))
    for place, person in enumerate(study.people):
        expert = person.role != "reader"
        hand = steady(0.0 if expert else biases_mm.get(person.name, 0.0), 0.02 if expert else jitter_mm)
        for number, today in ((1, FIRST), (2, SECOND)) if not expert else ((1, FIRST),):
            desk = StudyDesk(folder, person.name, number, now=lambda today=today: today)
            read_session(desk, SimulatedReader(hand, follow), truth, np.random.default_rng([place, number]))
