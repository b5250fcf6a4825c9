"""nnU-Net v2: ``dataset.json``, ``imagesTr``, ``labelsTr`` and, for the test split, ``imagesTs`` and ``labelsTs``.

https://github.com/MIC-DKFZ/nnUNet, documentation/dataset_format.md. Cases are named by item; labels are class indices.
Train and validation are nnU-Net's training cases; ``splits_final.json`` keeps them apart where there are both, once it
is copied into the data set's folder under nnUNet_preprocessed (documentation/manual_data_splits.md). Items for training
without a mask are left out, for nnU-Net has no place for them.
"""

from __future__ import annotations

import re
from pathlib import Path

from edge3vt.core.documents import write_json
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import Dataset
from edge3vt.data.exporters.target import copy_pair, whole_folder, write_class_map

CHANNEL = "ultrasound"  # any name but CT means: normalise each picture by itself
_NAME = re.compile(r"Dataset[0-9]{3}_[A-Za-z0-9_-]+")


def export(dataset: Dataset, out: Path, *, overwrite: bool = False) -> int:
    """Write the items that nnU-Net can use; returns their number. Raises ConfigError, DataError or ArtifactError."""
    if not _NAME.fullmatch(out.name):
        raise ConfigError(f"{out}: nnU-Net finds its folders by name, expected one like Dataset101_{_plain(out.name)}")
    test = dataset.of("test")
    training = [item for item in dataset.items if item.split != "test" and item.mask_sha256 is not None]
    if not training:
        raise DataError(
            f"{dataset.folder}: no labelled item outside the test split, so nnU-Net has nothing to train on"
        )
    with whole_folder(out, overwrite=overwrite) as folder:
        for which, items in (("Tr", training), ("Ts", test)):
            for item in items:
                picture = folder / f"images{which}" / f"{item.id}_0000.png"
                copy_pair(dataset, item, picture, folder / f"labels{which}" / f"{item.id}.png")
        validation = [item.id for item in training if item.split == "validation"]
        if validation and len(validation) < len(training):
            train = [item.id for item in training if item.split != "validation"]
            write_json([{"train": train, "val": validation}], folder / "splits_final.json")
        description = {
            "channel_names": {"0": CHANNEL},
            "labels": {name: index for index, name in enumerate(dataset.classes)},
            "numTraining": len(training),
            "file_ending": ".png",
        }
        write_json(description, folder / "dataset.json")
        write_class_map(folder, dataset)
    return len(training) + len(test)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name) or "NAME"
