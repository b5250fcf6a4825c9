"""Folders of pictures and masks, one pair for each split: ``train/images/ID.png``, ``train/masks/ID.png``.

A mask holds class indices as grey levels. Items without a split go to ``unsplit``, pictures without a mask to
``unlabelled`` beside ``images``, which an import takes for what they are.
"""

from __future__ import annotations

from pathlib import Path

from edge3vt.data.dataset import Dataset
from edge3vt.data.exporters.target import copy_pair, whole_folder, write_class_map


def export(dataset: Dataset, out: Path, *, overwrite: bool = False) -> int:
    """Write every item; returns their number. Raises ConfigError, DataError or ArtifactError."""
    with whole_folder(out, overwrite=overwrite) as folder:
        for item in dataset.items:
            place = folder / (item.split or "unsplit")
            place.mkdir(exist_ok=True)
            kind = "unlabelled" if item.mask_sha256 is None else "images"
            copy_pair(dataset, item, place / kind / f"{item.id}.png", place / "masks" / f"{item.id}.png")
        labels = {str(index): name for index, name in enumerate(dataset.classes)}
        splits = sorted({item.split for item in dataset.items if item.split is not None})
        write_class_map(folder, dataset, labels=labels, splits=splits)
    return len(dataset.items)
