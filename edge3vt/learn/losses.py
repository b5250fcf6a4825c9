"""What training minimises: cross-entropy and Dice over structures, and whether the picture is the view.

Each loss is a ratio of sums over the batch. ``total`` adds up such sums over all processes of a distributed
training, differentiably; with it the processes' averaged gradient is that of one process with the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from edge3vt.core.anatomy import CLASS_NAMES

CLASS_WEIGHTS = (1.0, 2.0, 2.0, 5.0, 4.0, 2.0)  # background, PA, arch, SVC, trachea, spine
STRUCTURE_WEIGHT = 2.0  # each structure of other class maps
VIEW_WEIGHT = 0.5

Total = Callable[[Tensor], Tensor]


def local(sums: Tensor) -> Tensor:
    """The total of a training in one process: the sums themselves."""
    return sums


def segmentation_loss(logits: Tensor, mask: Tensor, total: Total = local, labelled: Tensor | None = None) -> Tensor:
    """Weighted cross-entropy plus soft Dice (Milletari et al. 2016), over the batch as one picture.

    logits: (N, C, H/s, W/s) float; mask: (N, H, W) integers. At strides 4 and 2 the loss is taken at the mask's
    even pixels, else at all; logits are upsampled as at run time, bilinearly. labelled: (N,) bool; pictures that
    are not contribute nothing. 3VT weights where there are six classes.
    """
    if labelled is not None:
        logits, mask = logits[labelled], mask[labelled]
    classes = logits.shape[1]
    dense, target = _on_pixels(logits.float().contiguous(), mask[:, None])
    surely = dense.log_softmax(dim=1)
    one_hot = (target == _labels(classes, mask)).to(surely.dtype)
    probability = surely.exp()
    parts = one_hot, surely * one_hot, probability * one_hot, probability
    sums = total(torch.stack([part.sum(dim=(0, 2, 3)) for part in parts]))
    counts, log_hits, hits, mass = sums[0], sums[1], sums[2], sums[3]
    weight = torch.tensor(class_weights(classes), device=logits.device)
    cross_entropy = -(log_hits * weight).sum() / (counts * weight).sum().clamp(min=1)
    dice = (2 * hits + 1) / (mass + counts + 1)
    return cross_entropy + (1 - dice[1:]).mean()


def class_weights(classes: int) -> tuple[float, ...]:
    """The weight of each class in the cross-entropy."""
    return CLASS_WEIGHTS if classes == len(CLASS_NAMES) else (1.0, *[STRUCTURE_WEIGHT] * (classes - 1))


def _labels(classes: int, mask: Tensor) -> Tensor:
    """(C, 1, 1) class indices in the mask's own type, so that uint8 masks need no copy."""
    return torch.arange(classes, dtype=mask.dtype, device=mask.device)[:, None, None]


def _on_pixels(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and target (N, 1, H, W) on the same pixels: the even ones at strides 4 and 2, else all."""
    size = target.shape[2:]
    for stride in (4, 2):
        if size == (stride * logits.shape[2], stride * logits.shape[3]):
            return at_even_pixels(at_even_pixels(logits, 2, stride), 3, stride), target[:, :, ::2, ::2]
    if size != logits.shape[2:]:
        logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return logits, target


def at_even_pixels(logits: Tensor, dim: int, stride: int = 4) -> Tensor:
    """Along one axis, the values that bilinear upsampling by 4 or 2 gives its even pixels.

    By 4: twice as many as logits; pixels 4k and 4k + 2 lie 3/8 before and 1/8 behind the centre of logit k.
    By 2: as many as logits; pixel 2k lies 1/4 before it.
    """
    count = logits.shape[dim]
    before = torch.cat([logits.narrow(dim, 0, 1), logits.narrow(dim, 0, count - 1)], dim)
    if stride == 2:
        return torch.lerp(before, logits, 0.75)
    behind = torch.cat([logits.narrow(dim, 1, count - 1), logits.narrow(dim, count - 1, 1)], dim)
    pair = torch.lerp(before, logits, 0.625), torch.lerp(logits, behind, 0.125)
    return torch.stack(pair, dim + 1).flatten(dim, dim + 1)


def view_loss(logit: Tensor, is_view: Tensor, total: Total = local, known: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of (N, 1) view logits.

    known: (N,) bool; pictures of which nobody knows whether they are the view contribute nothing.
    """
    if known is not None:
        logit, is_view = logit[known], is_view[known]
    summed = functional.binary_cross_entropy_with_logits(logit, is_view, reduction="sum")
    sums = total(torch.stack([summed, summed.new_tensor(logit.numel())]))
    return VIEW_WEIGHT * sums[0] / sums[1].clamp(min=1)
