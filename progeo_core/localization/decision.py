"""Whether an answer may be used, as a word and a sentence that a user can act on."""

from __future__ import annotations

import math
from typing import NamedTuple

LOCALIZED = "LOCALIZED"
AMBIGUOUS = "AMBIGUOUS"
OFF_MAP = "OFF_MAP"
LOST = "LOST"

# Below this confidence no place deserves to be called a candidate.
_CANDIDATE = 0.3
# A first image alone seldom tells a place; it takes some images to call it off the map.
_FIRST_STEPS = 3


class Decision(NamedTuple):
    """Decision whether a robot may use an answer, one of the four states, and why."""

    accepted: bool
    state: str
    reason: str


def decide_image(confidence: float, min_confidence: float) -> Decision:
    """Decide on the answer to a single image, which is LOCALIZED or AMBIGUOUS."""
    if confidence >= min_confidence:
        return Decision(True, LOCALIZED, f"one place stands out, confidence {confidence:.2f}")
    return Decision(
        False,
        AMBIGUOUS,
        f"no place stands out enough, {below(confidence, min_confidence)}",
    )


def decide_belief(confidence: float, off_map: float, steps: int, min_confidence: float) -> Decision:
    """Decide on the answer of a sequence of `steps` images that showed something new."""
    if confidence >= min_confidence:
        return Decision(
            True, LOCALIZED, f"motion and images agree on one place, confidence {confidence:.2f}"
        )
    if off_map > 0.5 and steps >= _FIRST_STEPS:
        return Decision(False, OFF_MAP, f"no place explains the images, off map {off_map:.2f}")
    if confidence >= _CANDIDATE:
        return Decision(
            False,
            AMBIGUOUS,
            f"other places fit as well, {below(confidence, min_confidence)}",
        )
    return Decision(
        False, LOST, f"{steps} images since the start fit many places, best {confidence:.2f}"
    )


def below(confidence: float, min_confidence: float) -> str:
    """Say that a confidence is too small, rounded down so that it does not look large enough."""
    rounded = math.floor(100.0 * confidence) / 100.0
    return f"confidence {rounded:.2f} is below {min_confidence:.2f}"
