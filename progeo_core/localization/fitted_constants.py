"""Constants of the localizer that were fitted to drives, and that no user can tune by hand.

`training/fit_localization.py` measures how well they, or others in their place, predict which
answers are right, and searches for better ones.
"""

from __future__ import annotations

from typing import NamedTuple


class SingleImageConstants(NamedTuple):
    """Constants of the answer to one image.

    sharpness: how fast a match loses weight as its (1 - cosine) grows relative to the best one's.
    gap_at_half: gap to the best other place at which the best one is right in half of the images;
    gap_slope: log odds per unit of gap.
    presence_at_half: similarity of the best place at which half of the images are from the map at
    all; presence_slope: log odds per unit of similarity.
    """

    sharpness: float = 20.0
    gap_at_half: float = 0.01
    gap_slope: float = 20.0
    presence_at_half: float = 0.13
    presence_slope: float = 60.0


class VerificationConstants(NamedTuple):
    """Constants of verification: log odds of a place by its inliers, features that fit one scene.

    even_inliers: number of them that says nothing. chance_inliers: as many may come by chance, so
    fewer are as good as these. slope: log odds per e-fold of their number.
    margin_slope: log odds per e-fold of how many more they are than with the best place elsewhere.
    lowest: of the log odds. highest: of the log odds.
    sequence_share: of the log odds, in a sequence: its images err in the same way.
    """

    even_inliers: float = 150.0
    chance_inliers: float = 22.0
    slope: float = 1.0
    margin_slope: float = 1.0
    lowest: float = -3.0
    highest: float = 2.5
    sequence_share: float = 0.25


class SequenceConstants(NamedTuple):
    """Constants of the place filter.

    evidence_slope: log odds per unit of similarity, below the value of independent images, as
    neighbouring images err in the same way. evidence_zero: similarity that speaks neither for a
    place nor for being off the map. evidence_limit: largest log odds that one image may give or
    take against being off the map.
    leave_rate: chance per step that the camera left the map or was carried off. enter_rate: chance
    per step that a camera off the map is on it again. turn_rate: chance per step that the velocity
    changes abruptly.
    """

    evidence_slope: float = 22.0
    evidence_zero: float = 0.125
    evidence_limit: float = 9.0
    leave_rate: float = 0.01
    enter_rate: float = 0.01
    turn_rate: float = 0.02
