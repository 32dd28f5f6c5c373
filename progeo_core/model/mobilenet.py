"""MobileNetV2's trunk (Sandler et al. 2018, "Inverted Residuals and Linear Bottlenecks").

Weights have torchvision's names. torchvision itself takes longer to import than a photo takes from
the start of the program to its answer.
"""

from __future__ import annotations

from torch import Tensor, nn

CHANNELS = 1280
_FIRST_CHANNELS = 32
# Table 2 of the paper: expansion, channels, blocks, stride of the first.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
# Stage of every layer of the trunk but the last, which is in none; the first convolution is 0.
STAGE_OF_LAYER = tuple(
    stage for stage, (_, _, blocks, _) in enumerate(((0, 0, 1, 0), *_STAGES)) for _ in range(blocks)
)


class MobileNetTrunk(nn.Sequential):
    """Trunk without classifier: normalised images [n, 3, h, w] to a map [n, 1280, h/32, w/32]."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [_convolution(3, _FIRST_CHANNELS, 3, stride=2)]
        channels = _FIRST_CHANNELS
        for expansion, width, blocks, first_stride in _STAGES:
            for block in range(blocks):
                stride = 1 if block else first_stride
                layers.append(_InvertedResidual(channels, width, stride, expansion))
                channels = width
        super().__init__(*layers, _convolution(channels, CHANNELS, 1))
        for module in self.modules():
            # Without numbers to fill, this would only import torch's compiler.
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")


class _InvertedResidual(nn.Module):
    """Block that widens its channels, filters each by itself, and narrows them again."""

    def __init__(self, channels: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self._is_residual = stride == 1 and channels == width
        widening = [_convolution(channels, hidden, 1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *widening,
            _convolution(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Filter a map [n, c, h, w]."""
        filtered: Tensor = self.conv(images)
        return images + filtered if self._is_residual else filtered


def _convolution(
    channels: int, width: int, side: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, side, stride, side // 2, groups=groups, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU6(inplace=True),
    )
