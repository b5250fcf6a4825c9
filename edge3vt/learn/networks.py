"""Networks by name: the student family, the baselines, a teacher, and any module by its import path.

Each maps pixels (N, 1, H, W), uint8 or float grey levels 0-255, to logits (N, C, H/s, W/s) and the view's logit
(N, 1) or None; s is its output stride. All but imported ones normalise the grey levels themselves.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edge3vt.core.documents import suggestion
from edge3vt.core.errors import BackendMissingError, ConfigError
from edge3vt.learn.deeplab import DeepLab
from edge3vt.learn.student import DEPTHS, WIDTHS, Student, normalised
from edge3vt.learn.unet import UNet

PROBE_PX = 128
FORMS = {"student-s": (WIDTHS, DEPTHS), "student-m": ((48, 96, 128, 192), (2, 2, 3, 3))}
"""Widths and depths of the student's stages."""


class Lone(nn.Module):
    """A network that returns logits alone, in the contract. normalise: its pixels become zero-mean, else stay grey."""

    def __init__(self, network: nn.Module, *, normalise: bool) -> None:
        super().__init__()
        self.network = network
        self.normalise = normalise

    def forward(self, pixels: Tensor) -> tuple[Tensor, None]:
        return self.network(normalised(pixels) if self.normalise else pixels.float()), None


def build(network: str, classes: int) -> nn.Module:
    """The network called ``network`` with fresh weights: a name in NAMES, or "package.module:Class".

    An imported class is called with ``classes``, the number of classes, and gets float grey levels 0-255 as they are;
    it returns logits, or logits and a view logit. Raises ConfigError, and BackendMissingError without its package.
    """
    if ":" in network:
        return _imported(network, classes)
    if network not in NAMES:
        raise ConfigError(
            f"network '{network}': no such network{suggestion(network, NAMES)}; or 'package.module:Class'"
        )
    return _MAKERS[network](classes)


def output_stride(model: nn.Module, size: int) -> int:
    """Pixels per logit along each axis, of pictures of size x size px. Raises ConfigError where that is no integer."""
    height, width = cast(tuple[Tensor, Tensor | None], _probed(model, size))[0].shape[2:]
    if height != width or size % width:
        raise ConfigError(f"{_kind(model)}: logits {width} x {height} for {size} px, expected an integer stride")
    return size // width


def gmac(model: nn.Module, size: int) -> float:
    """1e9 multiply-accumulates of convolutions and matrix products, for one picture of size x size px."""
    with FlopCounterMode(display=False) as counter:
        _probed(model, size)
    return int(counter.get_total_flops()) / 2e9


def _flexible(classes: int) -> nn.Module:
    try:
        from monai.networks.nets.flexible_unet import FlexibleUNet
    except ImportError as error:
        raise BackendMissingError(
            f"flexible-unet needs {error.name}, which is not installed; pip install 'edge3vt[train]'"
        ) from error
    return Lone(FlexibleUNet(in_channels=1, out_channels=classes, backbone="resnet34"), normalise=True)


def _student(form: str, classes: int, *, branches: bool, half: bool) -> nn.Module:
    return Student(classes, *FORMS[form], branches=branches, half=half)


def _students() -> dict[str, Callable[[int], nn.Module]]:
    return {
        form + "-rep" * branches + "-half" * half: partial(_student, form, branches=branches, half=half)
        for form in FORMS
        for branches in (False, True)
        for half in (False, True)
    }


_MAKERS: dict[str, Callable[[int], nn.Module]] = {
    **_students(),
    "unet": UNet,
    "unet-half": partial(UNet, width=32),
    "deeplabv3plus": DeepLab,
    "deeplabv3plus-imagenet": partial(DeepLab, imagenet=True),
    "flexible-unet": _flexible,
}
NAMES = tuple(_MAKERS)
"""The networks that ``build`` knows by name."""


def _imported(path: str, classes: int) -> nn.Module:
    module, _, name = path.partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"network '{path}': cannot be imported ({_line(error)}); check it and PYTHONPATH") from error
    try:
        model = kind(classes)
    except Exception as error:
        raise ConfigError(
            f"network '{path}': {name}({classes}) failed ({_line(error)}); it is called with the number of classes"
        ) from error
    if not isinstance(model, nn.Module):
        raise ConfigError(f"network '{path}': {name}({classes}) is {_kind(model)}, expected a torch.nn.Module")
    try:
        found = _probed(model, PROBE_PX)
    except Exception as error:
        raise ConfigError(
            f"network '{path}': failed on a {PROBE_PX} x {PROBE_PX} picture ({_line(error)}); expected to take floats "
            f"(1, 1, {PROBE_PX}, {PROBE_PX})"
        ) from error
    lone = isinstance(found, Tensor)
    logits, view = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(logits, Tensor) or not (view is None or (isinstance(view, Tensor) and view.shape == (1, 1))):
        raise ConfigError(f"network '{path}': returned {_kind(found)}, expected logits, or logits and a (N, 1) view")
    if logits.ndim != 4 or logits.shape[1] != classes:
        raise ConfigError(f"network '{path}': logits {tuple(logits.shape)}, expected (1, {classes}, H, W)")
    return Lone(model, normalise=False) if lone else model


@torch.no_grad()
def _probed(model: nn.Module, size: int) -> object:
    """What the model in evaluation mode says of one black picture; its mode stays as it was."""
    parameter = next(model.parameters(), torch.empty(0))
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        return model(torch.zeros(1, 1, size, size, device=parameter.device))
    finally:
        for module, training in modes:
            module.training = training


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
