"""The losses are what their names say, written again in plain torch."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from edge3vt.learn.losses import CLASS_WEIGHTS, at_even_pixels, segmentation_loss


@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (1, 3, 1, 4)])
def test_even_pixels_are_those_of_bilinear_upsampling(shape: tuple[int, int, int, int]) -> None:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    full = functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
    torch.testing.assert_close(at_even_pixels(at_even_pixels(logits, 2), 3), full[:, :, ::2, ::2])


def test_the_segmentation_loss_is_weighted_cross_entropy_and_soft_dice() -> None:
    draw = torch.Generator().manual_seed(1)
    logits, mask = torch.randn((2, 6, 8, 8), generator=draw), torch.randint(0, 6, (2, 32, 32), generator=draw)
    dense = functional.interpolate(logits, size=(32, 32), mode="bilinear", align_corners=False)[:, :, ::2, ::2]
    target = mask[:, ::2, ::2]
    expected = functional.cross_entropy(dense, target, weight=torch.tensor(CLASS_WEIGHTS))
    truth = functional.one_hot(target, 6).permute(0, 3, 1, 2)
    hits, both = (dense.softmax(1) * truth).sum((0, 2, 3)), (dense.softmax(1) + truth).sum((0, 2, 3))
    expected = expected + (1 - (2 * hits + 1) / (both + 1))[1:].mean()
    torch.testing.assert_close(segmentation_loss(logits, mask), expected)
    torch.testing.assert_close(segmentation_loss(logits, mask.to(torch.uint8)), expected)
