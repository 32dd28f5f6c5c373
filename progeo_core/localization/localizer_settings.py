"""Settings of the localizer that a user may tune."""

from __future__ import annotations

import dataclasses

from progeo_core.settings import Settings, setting

# Time (ms) for verification that every answer takes: it compares three places and no more. For
# what must not depend on how busy the machine is.
LEAST_VERIFICATION_MS = 1


@dataclasses.dataclass(frozen=True)
class LocalizerSettings(Settings):
    """Settings for how many places are compared and when an answer is accepted."""

    top_k: int = setting(20, "Matches reported with every answer, best first", low=1, high=1000)
    candidates: int = setting(
        50, "Similar places that the estimate is made from", low=1, high=10_000
    )
    min_confidence: float = setting(
        0.9, "Smallest confidence at which an answer is accepted and published", low=0.0, high=1.0
    )
    sequence: bool = setting(
        True,
        "Follow the robot from image to image with the place filter; several cameras help each"
        " other if the map has images of all of them; false answers every image by itself",
    )
    verification_ms: int = setting(
        40,
        "Time (ms) per image in which an uncertain answer is verified: the local features of the"
        " image are compared with those of the most probable places, of three in any case; 0 is"
        " off",
        low=0,
        high=10_000,
    )
