"""Which weights are trained in stage 2."""

from __future__ import annotations

import re

from torch import nn

from progeo_core.model.mobilenet import STAGE_OF_LAYER
from progeo_core.model.network import ProgeoNetwork

_RESNET_STEM = re.compile(r"(conv|bn)\d\.")
_RESNET_STAGE = re.compile(r"layer(\d+)\.")
_MOBILENET_STEM = re.compile(r"trunk\.(conv_stem|bn1)\.")
_MOBILENET_STAGE = re.compile(r"trunk\.blocks\.(\d+)\.")
_TRUNK_LAYER = re.compile(r"(\d+)\.")
_TRANSFORMER_STEM = re.compile(r"(conv1|ln_pre)\.")
_TRANSFORMER_BLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.")


def freeze_layers(
    network: ProgeoNetwork,
    *,
    freeze_cnn: int = 2,
    freeze_trans: int = 6,
    train_all_layers: bool = False,
) -> None:
    """Choose the trainable parameters of stage 2 as the authors do.

    CLIP's ResNets train from stage `freeze_cnn` + 1 on (MobileNetV2 and timm's MobileNets
    likewise), its transformers all but the patch convolution, `ln_pre` and the first
    `freeze_trans` blocks. The head always trains, the text side never does. Backbones of other
    layouts, and all with `train_all_layers`, train every weight.
    """
    for name, parameter in network.named_parameters():
        part, _, layer = name.partition(".")
        frozen = part == "backbone" and _is_frozen(layer, freeze_cnn, freeze_trans)
        visual = part in ("backbone", "aggregation")
        parameter.requires_grad_(visual and (train_all_layers or not frozen))


def keep_statistics(network: nn.Module) -> None:
    """Let BatchNorm layers go on normalising by the statistics that they came with."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _is_frozen(layer: str, freeze_cnn: int, freeze_trans: int) -> bool:
    if stage := _RESNET_STAGE.match(layer):
        return int(stage[1]) <= freeze_cnn
    if stage := _MOBILENET_STAGE.match(layer):
        return int(stage[1]) < freeze_cnn
    if trunk := _TRUNK_LAYER.match(layer):
        return int(trunk[1]) < len(STAGE_OF_LAYER) and STAGE_OF_LAYER[int(trunk[1])] <= freeze_cnn
    if block := _TRANSFORMER_BLOCK.match(layer):
        return int(block[1]) < freeze_trans
    stems = (_RESNET_STEM, _MOBILENET_STEM, _TRANSFORMER_STEM)
    return any(stem.match(layer) for stem in stems)
