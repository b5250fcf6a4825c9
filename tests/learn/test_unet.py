"""U-Net: the paper's size, a logit per pixel, and skips that carry detail."""

from __future__ import annotations

import torch

from edge3vt.learn.student import parameters_m
from edge3vt.learn.unet import UNet


def test_it_has_the_size_of_the_papers_and_a_quarter_of_it_at_half_width() -> None:
    with torch.device("meta"):
        assert 31.0 < parameters_m(UNet(2)) < 31.1
        assert 7.7 < parameters_m(UNet(2, width=32)) < 7.8


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = UNet(3, width=4)
    logits, view = model(torch.randint(0, 256, (2, 1, 32, 48)).float())
    assert (logits.shape, view) == ((2, 3, 32, 48), None)
    logits.square().sum().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def seen_by_the_centre(model: UNet) -> torch.Tensor:
    """How much each pixel of a picture moves the logits at (48, 48)."""
    pixels = torch.randint(0, 256, (1, 1, 96, 96)).float().requires_grad_()
    model(pixels)[0][0, :, 48, 48].square().sum().backward()
    assert pixels.grad is not None
    return pixels.grad[0, 0].abs()


def test_a_logit_sees_its_own_pixel_best_and_pixels_far_away() -> None:
    torch.manual_seed(0)
    model = UNet(2, width=4).eval()
    seen = seen_by_the_centre(model)
    assert seen[46:51, 46:51].mean() > 100 * seen[20:77, 20:77].median() > 0
    torch.nn.init.zeros_(model.up[-1][0].weight[:, :4])  # the skip at full resolution
    blurred = seen_by_the_centre(model)
    assert blurred[46:51, 46:51].mean() < 0.1 * seen[46:51, 46:51].mean()
