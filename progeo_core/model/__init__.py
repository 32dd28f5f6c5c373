"""CLIP towers, the ProGEO network, its prompts and weights, and the encoder that runs them.

The entry is `progeo_core.inference.loading`; it imports torch, so callers import it late.
"""

__all__: list[str] = []
