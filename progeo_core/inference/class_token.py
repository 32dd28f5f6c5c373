"""Leave out what a vision transformer computes and nobody reads.

CLIP's towers give the class token of the last block only. The other tokens of that block serve
nothing, and are a twelfth of the work of a tower of twelve blocks, less keys and values.
"""

from __future__ import annotations

from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn


def skip_unread_tokens(tower: nn.Module) -> None:
    """Let the last block of a tower compute its class token alone, in place.

    Other towers than those that give just that token stay as they are.
    """
    if not (isinstance(tower, VisionTransformer) and _gives_class_token(tower)):
        return
    blocks = tower.transformer.resblocks
    if type(blocks[-1]) is ResidualAttentionBlock:
        blocks[-1] = ClassTokenBlock(blocks[-1])


class ClassTokenBlock(nn.Module):
    """Compute the first token of a block."""

    def __init__(self, block: ResidualAttentionBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, tokens: Tensor, attn_mask: None = None) -> Tensor:
        """Map tokens [n, t, d] to [n, 1, d]."""
        block = self.block
        normed = block.ln_1(tokens)
        first = tokens[:, :1] + block.ls_1(block.attention(normed[:, :1], normed, normed))
        computed: Tensor = first + block.ls_2(block.mlp(block.ln_2(first)))
        return computed


def _gives_class_token(tower: VisionTransformer) -> bool:
    return (
        tower.pool_type == "tok"
        and tower.attn_pool is None
        and not tower.output_tokens
        and tower.transformer.batch_first
    )
