"""What training minimises: cross-entropy and Dice over structures, and whether the picture is the view."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

CLASS_WEIGHTS = (1.0, 2.0, 2.0, 5.0, 4.0, 2.0)  # background, PA, arch, SVC, trachea, spine; others 2
VIEW_WEIGHT = 0.5


def segmentation_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Weighted cross-entropy plus soft Dice (Milletari et al. 2016) at half the mask's resolution.

    logits: (N, C, H/4, W/4) float; mask: (N, H, W) integers. Logits are upsampled as at run time, bilinearly.
    """
    classes = logits.shape[1]
    target = mask[:, None, ::2, ::2]
    surely = at_even_pixels(at_even_pixels(logits.contiguous(), 2), 3).log_softmax(dim=1)
    one_hot = (target == torch.arange(classes, dtype=mask.dtype)[:, None, None]).to(surely.dtype)
    counts = one_hot.sum(dim=(0, 2, 3))
    weight = torch.tensor([*CLASS_WEIGHTS, *[2.0] * classes][:classes])
    cross_entropy = -((surely * one_hot).sum(dim=(0, 2, 3)) * weight).sum() / (counts * weight).sum()
    probability = surely.exp()
    hits = (probability * one_hot).sum(dim=(0, 2, 3))
    dice = (2 * hits + 1) / (probability.sum(dim=(0, 2, 3)) + counts + 1)
    return cross_entropy + (1 - dice[1:]).mean()


def at_even_pixels(logits: Tensor, dim: int) -> Tensor:
    """Along one axis, the values that bilinear upsampling by 4 gives its even pixels: twice as many as logits.

    Pixels 4k and 4k + 2 lie 3/8 before and 1/8 behind the centre of logit k.
    """
    count = logits.shape[dim]
    before = torch.cat([logits.narrow(dim, 0, 1), logits.narrow(dim, 0, count - 1)], dim)
    behind = torch.cat([logits.narrow(dim, 1, count - 1), logits.narrow(dim, count - 1, 1)], dim)
    pair = torch.lerp(before, logits, 0.625), torch.lerp(logits, behind, 0.125)
    return torch.stack(pair, dim + 1).flatten(dim, dim + 1)


def view_loss(logit: Tensor, is_view: Tensor) -> Tensor:
    """Binary cross-entropy of (N, 1) view logits."""
    return VIEW_WEIGHT * functional.binary_cross_entropy_with_logits(logit, is_view)
