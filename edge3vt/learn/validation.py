"""Dice on the validation set while a training runs: the whole region, and the square around the structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from edge3vt.core.anatomy import CLASS_NAMES, SCORED
from edge3vt.core.frame import Pixels
from edge3vt.core.metrics import confusion, dice, mean_over_cases
from edge3vt.core.segmentation import Mask
from edge3vt.data.augment import Augmentation, draw_geometry
from edge3vt.data.geometry import sampled, whole
from edge3vt.learn.pictures import SIDE, Pictures
from edge3vt.picture.mask import make_mask

BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """(N, 1, S, S) pictures and (N, S, S) masks as a training is judged by, and the names of the classes."""

    pixels: Pixels
    masks: Mask
    classes: tuple[str, ...]

    @property
    def scored(self) -> tuple[int, ...]:
        """The classes that count: of the 3VT view its four structures, else all but the background."""
        return tuple(SCORED) if self.classes == CLASS_NAMES else tuple(range(1, len(self.classes)))


@dataclass(frozen=True, slots=True)
class Validated:
    """Mean Dice of the scored structures, and of each structure; NaN becomes None where none holds it."""

    mean: float
    dice: dict[str, float | None]


def looks(pictures: Pictures, classes: Sequence[str], size: int, augmentation: Augmentation) -> Looks:
    """Each labelled picture that holds a structure, as the augmentation may show it: whole, close, or both.

    Close is the square of close_mm, not jittered; a network that is only trained close is only judged close.
    """
    wanted = [False] * (augmentation.close_share < 1) + [True] * (augmentation.close_share > 0)
    plain = Augmentation(
        sector_share=0, close_share=1, closeness=(1, 1), close_mm=augmentation.close_mm,
        close_multiple=augmentation.close_multiple, side=(1, 1), shift=0, turn_share=0, mirror_share=0,
    )  # fmt: skip
    seen = []
    for pixels, mask, labelled, scale in zip(
        pictures.pixels, pictures.masks, pictures.labelled, pictures.mm_per_px.tolist(), strict=True
    ):
        if not labelled or not mask.any():
            continue
        for close in wanted:
            known = scale if scale == scale else None
            near = draw_geometry(mask, known, plain, np.random.default_rng(0), size)
            seen.append(sampled(pixels, mask, near if close else whole(SIDE, SIDE, size)))
    empty = np.empty((0, size, size), np.uint8)
    return Looks(
        np.stack([pixels for pixels, _ in seen])[:, None] if seen else empty[:, None],
        np.stack([mask for _, mask in seen]) if seen else empty,
        tuple(classes),
    )


@torch.inference_mode()
def validate(model: nn.Module, seen: Looks) -> Validated:
    """Dice per structure: the mean over the looks that count it; the model is left in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    cases = []
    for start in range(0, len(seen.pixels), BATCH):
        pixels = torch.from_numpy(seen.pixels[start : start + BATCH]).to(device).float()
        logits = model(pixels.contiguous(memory_format=torch.channels_last))[0].float().cpu().numpy()
        for each, truth in zip(logits, seen.masks[start : start + BATCH], strict=True):
            predicted, _ = make_mask(each[None], truth.shape[0] // each.shape[1])
            cases.append(dice(confusion(truth, predicted, len(seen.classes))))
    mean = mean_over_cases(cases)
    scored = [mean[label] for label in seen.scored if not np.isnan(mean[label])]
    told = {name: None if np.isnan(v) else round(float(v), 4) for name, v in zip(seen.classes, mean, strict=True)}
    return Validated(round(float(np.mean(scored)), 4), {name: told[name] for name in seen.classes[1:]})
