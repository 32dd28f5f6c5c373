"""CLIP towers, the ProGEO network, its prompts and weights, and the encoder that runs them.

The entry is `progeo_core.model.loading`; it imports torch, so callers import it late.
"""

import os

__all__: list[str] = []

# torch's threads would spin while they wait for each other. On a machine that other programs share,
# which a robot's computer is, that makes an image take three times as long. OpenMP reads this when
# torch is imported, which is after this package is.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
