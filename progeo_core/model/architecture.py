"""Parts that a network consists of, as its card says them; the network itself is in `network`."""

from __future__ import annotations

import dataclasses
import enum


class Head(enum.Enum):
    """What follows the backbone.

    TOKEN: nothing; the backbone gives one vector.
    GEM: RootNorm → GeM → L2Norm over its map; nothing in it needs training.
    GEM_LINEAR: L2Norm → GeM → Linear → L2Norm over its map, ProGEO's own.
    """

    TOKEN = "token"
    GEM = "gem"
    GEM_LINEAR = "gem-linear"


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Parts that a network consists of.

    backbone: CLIP-RN50, ..., MobileNetV2, or a name of open_clip's.
    head: what follows the backbone.
    dimension: descriptor length D.
    with_text: whether CLIP's text side belongs to it (training needs it).
    """

    backbone: str
    head: Head
    dimension: int
    with_text: bool = False

    def __str__(self) -> str:
        """Return the backbone and head on one line, as fingerprints show it."""
        suffix = {Head.TOKEN: "", Head.GEM: "+GeM", Head.GEM_LINEAR: "+GeM+Linear"}
        return self.backbone + suffix[self.head]
