"""The student: the shipped weights still fit it, and blocks with branches are one convolution."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import edge3vt
from edge3vt.learn.student import BranchedBlock, ConvBlock, Student, parameters_m

SHIPPED = Path(edge3vt.__file__).parent / "assets" / "student-s384" / "student.safetensors"
Block = ConvBlock | BranchedBlock


def shaken(model: nn.Module) -> nn.Module:
    """In evaluation mode, with normalisations that folding could get wrong."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(generator=generator)
    return model.eval()


def at_run_time(block: Block, x: Tensor) -> Tensor:
    return nn.functional.conv2d(x, *block.folded(), stride=block.stride, padding=1).relu()


def test_the_shipped_weights_fit() -> None:
    model = Student()
    model.load_state_dict(load_file(SHIPPED))
    assert 0.5 <= parameters_m(model) <= 0.7


@pytest.mark.parametrize("kind", [ConvBlock, BranchedBlock])
@pytest.mark.parametrize(("inputs", "stride"), [(8, 1), (8, 2), (5, 1)])
@torch.no_grad()
def test_a_block_is_one_convolution_and_a_relu(kind: type[Block], inputs: int, stride: int) -> None:
    torch.manual_seed(1)
    block = shaken(kind(inputs, 8, stride))
    x = torch.randn(2, inputs, 12, 12)
    torch.testing.assert_close(at_run_time(block, x), block(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("branch", ["wide_norm", "point_norm", "same_norm"])
@torch.no_grad()
def test_every_branch_counts(branch: str) -> None:
    torch.manual_seed(1)
    block = shaken(BranchedBlock(8, 8))
    x = torch.randn(2, 8, 12, 12)
    before = at_run_time(block, x)
    nn.init.zeros_(getattr(block, branch).weight)
    assert (at_run_time(block, x) - before).abs().max() > 0.1
    torch.testing.assert_close(at_run_time(block, x), block(x), atol=1e-5, rtol=1e-5)


def test_there_is_an_identity_only_where_the_shape_stays() -> None:
    kept = [BranchedBlock(8, 8).same_norm, BranchedBlock(8, 8, 2).same_norm, BranchedBlock(8, 16).same_norm]
    assert [norm is not None for norm in kept] == [True, False, False]


@torch.no_grad()
def test_half_resolution_logits_lie_where_their_pixels_are() -> None:
    model = Student(3, half=True).eval()
    nn.init.zeros_(model.head.weight)
    model.head.bias.copy_(torch.arange(12))
    logits, view = model(torch.zeros(1, 1, 64, 96))
    assert logits.shape == (1, 3, 32, 48)
    assert view.shape == (1, 1)
    assert logits[0, 1, :2, :2].tolist() == [[4, 5], [6, 7]]
    assert (logits[0, :, ::2, ::2] == logits[0, :, :1, :1]).all()
