"""What training minimises: cross-entropy and Dice over structures, and whether the picture is the view."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

CLASS_WEIGHTS = (1.0, 2.0, 2.0, 5.0, 4.0, 2.0)  # background, PA, arch, SVC, trachea, spine; others 2
VIEW_WEIGHT = 0.5


def segmentation_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Weighted cross-entropy plus soft Dice (Milletari et al. 2016) at half the mask's resolution.

    logits: (N, C, H/4, W/4) float; mask: (N, H, W) int64. Logits are upsampled as at run time, bilinearly.
    """
    target = mask[:, ::2, ::2]
    # Even samples of an (H, W) mask lie half a pixel before the centres of the (H/2, W/2) grid: shift to match.
    dense = functional.interpolate(logits, size=mask.shape[1:], mode="bilinear", align_corners=False)[:, :, ::2, ::2]
    classes = logits.shape[1]
    weight = torch.tensor([*CLASS_WEIGHTS, *[2.0] * classes][:classes])
    cross_entropy = functional.cross_entropy(dense, target, weight=weight)
    probability = dense.softmax(dim=1)
    one_hot = functional.one_hot(target, classes).permute(0, 3, 1, 2).to(probability.dtype)
    hits = (probability * one_hot).sum(dim=(0, 2, 3))
    total = (probability + one_hot).sum(dim=(0, 2, 3))
    dice = (2 * hits + 1) / (total + 1)
    return cross_entropy + (1 - dice[1:]).mean()


def view_loss(logit: Tensor, is_view: Tensor) -> Tensor:
    """Binary cross-entropy of (N, 1) view logits."""
    return VIEW_WEIGHT * functional.binary_cross_entropy_with_logits(logit, is_view)
