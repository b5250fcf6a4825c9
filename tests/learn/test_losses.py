"""The losses are what their names say, written again in plain torch, in one process or in two."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from edge3vt.learn.losses import (
    CLASS_WEIGHTS,
    VIEW_WEIGHT,
    Total,
    at_even_pixels,
    class_weights,
    local,
    segmentation_loss,
    view_loss,
)
from tests.learn.processes import of_one_process, of_two_processes


def drawn(classes: int = 6, stride: int = 4, count: int = 4, size: int = 32) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn((count, classes, size // stride, size // stride), generator=draw)
    return logits, torch.randint(0, classes, (count, size, size), generator=draw)


def plainly(dense: Tensor, target: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weighted cross-entropy plus soft Dice of logits (N, C, H, W) on the target's own pixels."""
    truth = functional.one_hot(target, dense.shape[1]).permute(0, 3, 1, 2)
    hits, both = (dense.softmax(1) * truth).sum((0, 2, 3)), (dense.softmax(1) + truth).sum((0, 2, 3))
    entropy = functional.cross_entropy(dense, target, weight=torch.tensor(weights))
    return entropy + (1 - (2 * hits + 1) / (both + 1))[1:].mean()


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (1, 3, 1, 4)])
def test_even_pixels_are_those_of_bilinear_upsampling(shape: tuple[int, int, int, int], stride: int) -> None:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    full = functional.interpolate(logits, scale_factor=stride, mode="bilinear", align_corners=False)
    even = at_even_pixels(at_even_pixels(logits, 2, stride), 3, stride)
    torch.testing.assert_close(even, full[:, :, ::2, ::2])
    assert not torch.allclose(even, full[:, :, 1::2, 1::2]), "the odd ones are others"


@pytest.mark.parametrize(("stride", "step"), [(4, 2), (2, 2), (1, 1), (8, 1)])
def test_the_segmentation_loss_is_weighted_cross_entropy_and_soft_dice(stride: int, step: int) -> None:
    logits, mask = drawn(stride=stride)
    dense = functional.interpolate(logits, size=(32, 32), mode="bilinear", align_corners=False)
    expected = plainly(dense[:, :, ::step, ::step], mask[:, ::step, ::step], CLASS_WEIGHTS)
    torch.testing.assert_close(segmentation_loss(logits, mask), expected)
    torch.testing.assert_close(segmentation_loss(logits, mask.to(torch.uint8)), expected)


def test_other_class_maps_weigh_every_structure_the_same() -> None:
    assert class_weights(6) == CLASS_WEIGHTS
    logits, mask = drawn(classes=3, stride=1)
    torch.testing.assert_close(segmentation_loss(logits, mask), plainly(logits, mask, (1.0, 2.0, 2.0)))


def test_pictures_without_labels_contribute_nothing() -> None:
    logits, mask = drawn()
    labelled = torch.tensor([True, False, True, False])
    logits[1] = torch.nan
    torch.testing.assert_close(
        segmentation_loss(logits, mask, labelled=labelled), segmentation_loss(logits[::2], mask[::2])
    )
    for stride in (1, 2, 4, 8):
        logits, mask = drawn(stride=stride)
        value, gradient = of_one_process(
            lambda part, labels, total: segmentation_loss(part, labels, total, labelled=torch.zeros(4).bool()),
            logits,
            mask,
        )
        assert value == 0
        assert not gradient.any()


def test_the_view_loss_is_over_the_pictures_of_known_view() -> None:
    logit, is_view = torch.tensor([[0.3], [-2.0], [5.0]]), torch.tensor([[1.0], [0.0], [0.0]])
    every = functional.binary_cross_entropy_with_logits(logit, is_view)
    torch.testing.assert_close(view_loss(logit, is_view), VIEW_WEIGHT * every)
    two = functional.binary_cross_entropy_with_logits(logit[:2], is_view[:2])
    known = torch.tensor([True, True, False])
    torch.testing.assert_close(view_loss(logit, is_view, known=known), VIEW_WEIGHT * two)
    value, gradient = of_one_process(
        lambda part, views, total: view_loss(part, views, total, known=torch.zeros(3).bool()), logit, is_view
    )
    assert value == 0
    assert not gradient.any()


def segmentation_of(logits: Tensor, mask: Tensor, labelled: Tensor, total: Total) -> Tensor:
    return segmentation_loss(logits, mask, total, labelled=labelled)


def view_of(logit: Tensor, is_view: Tensor, known: Tensor, total: Total) -> Tensor:
    return view_loss(logit, is_view, total, known=known)


@pytest.mark.parametrize("known", [(1, 1, 1, 1), (1, 0, 1, 1), (0, 0, 1, 0)])
def test_two_processes_with_half_the_batch_each_are_one_with_the_whole(known: tuple[int, ...]) -> None:
    logits, mask = drawn()
    mask[:2] = 0  # all structures in one process
    told = torch.tensor(known).bool()
    for loss, batch in (
        (segmentation_of, (logits, mask, told)),
        (view_of, (logits[:, 0, 0, :1], mask[:, 0, :1].clamp(max=1).float(), told)),
    ):
        value, gradient = of_one_process(loss, *batch)
        halves, of_halves = of_two_processes(loss, *batch)
        assert halves == pytest.approx([value, value])
        torch.testing.assert_close(of_halves, gradient)


def test_processes_that_do_not_add_up_are_told_apart() -> None:
    logits, mask = drawn()
    mask[:2] = 0
    value, gradient = of_one_process(segmentation_of, logits, mask, torch.ones(4).bool())
    halves, of_halves = of_two_processes(
        lambda *batch: segmentation_of(*batch[:-1], local), logits, mask, torch.ones(4).bool()
    )
    assert halves != pytest.approx([value, value])
    assert not torch.allclose(of_halves, gradient)
