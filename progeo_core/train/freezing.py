"""Which weights stage 2 trains (paper, section 4.1); the text side is always frozen."""

from __future__ import annotations

from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import VisionTransformer
from torch import nn

from progeo_core.train.settings import NetworkSettings


def freeze(network: nn.Module, settings: NetworkSettings) -> int:
    """Set `requires_grad` of every parameter; return how many parameters are trained.

    network: has `backbone` (the visual tower) and `aggregation` (the head, or None). ResNets keep
    the stem and the first `freeze_cnn` stages frozen, transformers the patch embedding, `ln_pre`
    and the first `freeze_trans` blocks; other towers are trained whole.
    """
    network.requires_grad_(False)
    trained = [network.backbone, network.aggregation]
    for part in trained:
        if isinstance(part, nn.Module):
            part.requires_grad_(True)
    if not settings.train_all_layers:
        for layer in _frozen_layers(network.backbone, settings):
            layer.requires_grad_(False)
    return sum(parameter.requires_grad for parameter in network.parameters())


def _frozen_layers(tower: object, settings: NetworkSettings) -> list[nn.Module]:
    if isinstance(tower, ModifiedResNet):
        stem = [tower.conv1, tower.bn1, tower.conv2, tower.bn2, tower.conv3, tower.bn3]
        stages = [tower.layer1, tower.layer2, tower.layer3, tower.layer4]
        return [*stem, *stages[: settings.freeze_cnn]]
    if isinstance(tower, VisionTransformer):
        blocks = list(tower.transformer.resblocks)
        return [tower.conv1, tower.ln_pre, *blocks[: settings.freeze_trans]]
    return []
