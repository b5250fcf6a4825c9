"""A set whose pictures tell their masks in grey levels, and a network that reads them: what it scores is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.core.session import Logits
from edge3vt.core.spec import ModelSpec
from edge3vt.data.dataset import Dataset, read_dataset
from edge3vt.data.writer import DatasetWriter

SIDE, GREY = 96, 40  # GREY levels apart stand two classes
REGION = "8,0,88,96"
MM_PER_PX = 0.5


class PaintedSession:
    """Finds class i where the grey level is about i * GREY; ``lost`` are classes that it takes for background."""

    def __init__(self, size: int = SIDE, lost: tuple[int, ...] = (), name: str = "painted") -> None:
        self._spec = ModelSpec(1, name, "1", CLASS_NAMES, size, size, 1, False, True, "not trained")
        self._lost = lost
        self.runs = 0

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        self.runs += 1
        labels = (pixels[0, 0].astype(int) + GREY // 2) // GREY
        labels[np.isin(labels, self._lost)] = 0
        logits[0] = 8.0 * (labels == np.arange(len(CLASS_NAMES))[:, None, None])

    def close(self) -> None:
        pass


def anatomy(seed: int, *, empty: bool = False) -> Mask:
    """Five discs inside REGION, well apart."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for label in range(1, 0 if empty else 6):
        x, y = 16 + 12 * label + int(rng.integers(-3, 4)), 48 + int(rng.integers(-20, 21))
        cv2.circle(mask, (x, y), 5, label, -1)
    return mask


def painted_set(folder: Path, patients: int = 4, *, empty: int = 1, cine: int = 0, name: str = "painted") -> Dataset:
    """Patients p0, p1 ... with two pictures each, the last ``empty`` patients' without structures; then one cine."""
    with DatasetWriter(folder, name, CLASS_NAMES, resume=False) as writer:
        for patient in range(patients):
            for index in range(2):
                mask = anatomy(2 * patient + index, empty=patient >= patients - empty)
                writer.add(
                    f"p{patient}-{index}",
                    mask * np.uint8(GREY) + np.uint8(patient),
                    mask,
                    patient=f"p{patient}",
                    source="test",
                    mm_per_px=MM_PER_PX,
                    split="test",
                    facts={"region": REGION, "weeks": 18.0 + 6 * patient, "variant": "normal", "true_trachea_mm": 2.0},
                )
        for frame in range(cine):
            mask = np.roll(anatomy(0), 2 * frame, axis=0)
            writer.add(
                f"c-{frame:04d}",
                mask * np.uint8(GREY),
                mask,
                patient="moving",
                source="test",
                mm_per_px=MM_PER_PX,
                split="test",
                cine="c",
                frame=frame,
                facts={"region": REGION},
            )
    return read_dataset(folder)
