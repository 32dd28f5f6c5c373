"""Networks, their weights and checkpoints, and model folders.

All but `built_in` imports torch, so callers import it late.
"""

__all__: list[str] = []
