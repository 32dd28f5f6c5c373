"""Recompute the activations of blocks in the backward pass instead of keeping them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from open_clip.modified_resnet import Bottleneck
from open_clip.transformer import ResidualAttentionBlock
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

_BLOCKS = (Bottleneck, ResidualAttentionBlock)


def recompute_blocks(network: nn.Module) -> int:
    """Switch every trainable block of `network` to recomputed activations; return their number.

    Gradients and running statistics stay what they would be without.
    """
    blocks = [
        module
        for module in network.modules()
        if isinstance(module, _BLOCKS) and any(p.requires_grad for p in module.parameters())
    ]
    for block in blocks:
        _wrap(block)
    return len(blocks)


def _wrap(block: nn.Module) -> None:
    forward = block.forward

    def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        return nullcontext(), _keep_statistics(block)

    def recomputed(*inputs: Any, **named: Any) -> Any:
        return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **named)

    block.forward = recomputed  # type: ignore[method-assign]


@contextmanager
def _keep_statistics(block: nn.Module) -> Iterator[None]:
    """Prevent the second pass from counting the batch a second time."""
    layers = [
        module for module in block.modules() if isinstance(module, _BatchNorm) and module.training
    ]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            if layer.num_batches_tracked is not None:
                layer.num_batches_tracked.sub_(1)
