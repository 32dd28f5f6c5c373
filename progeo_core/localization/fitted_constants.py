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
    presence_at_half: similarity of the best place, in standard deviations of that of far places of
    the map, at which half of the images are from the map at all; presence_slope: log odds per one.
    alike_doubt: chance that an image is of a place that only looks like one of the map, per share
    of the map's places that look like others of it.
    """

    sharpness: float = 20.0
    gap_at_half: float = 0.01
    gap_slope: float = 20.0
    presence_at_half: float = 1.2
    presence_slope: float = 4.0
    alike_doubt: float = 1.2


class VerificationConstants(NamedTuple):
    """Constants of verification: log odds of a place by its inliers, features that fit one scene.

    even_inliers: number of them that says nothing, unless the best place elsewhere has more: that
    one's number says nothing then. chance_inliers: as many may come by chance, and are added to
    all. slope: log odds per e-fold of their number. alike_lead: how many e-folds a place has to be
    ahead of the best place elsewhere to say nothing, in a map all of whose places look alike.
    lowest: of the log odds. highest: of them.
    For an image by itself, wrong_inliers: number that it usually shares with wrong places.
    wrong_spread: standard deviation of that (e-folds). right_inliers: number that it usually shares
    with the right one; more say as much. right_spread: as above. alike_odds: log odds that a place
    loses in a map all of whose places look alike. end_spread: standard deviation, in place radii,
    of how far ahead of or behind its place an image is where the map ends. beyond_spread: of one
    that is beyond the end.
    """

    even_inliers: float = 25.0
    chance_inliers: float = 15.0
    alike_lead: float = 1.0
    slope: float = 4.0
    lowest: float = -4.5
    highest: float = 4.5
    wrong_inliers: float = 18.0
    wrong_spread: float = 0.25
    right_inliers: float = 120.0
    right_spread: float = 0.6
    alike_odds: float = 4.0
    end_spread: float = 0.5
    beyond_spread: float = 1.5


class SequenceConstants(NamedTuple):
    """Constants of the place filter.

    level_slope: log odds per standard deviation of the similarity of far places of the map.
    contrast_slope: log odds per standard deviation that a place is more alike than the map is to
    the image. Both are below the value of independent images, as neighbouring images err in the
    same way. even_evidence: sum of both that speaks neither for a place nor for being off the map.
    evidence_limit: largest log odds that one image may give or
    take against being off the map.
    leave_rate: chance per step that the camera left the map or was carried off. astray_rate: chance
    that a camera that was carried off is not on the map. enter_rate: chance per step that a camera
    off the map is on it again. turn_rate: chance per step that the velocity changes abruptly.
    """

    level_slope: float = 0.9
    contrast_slope: float = 0.6
    even_evidence: float = 2.0
    evidence_limit: float = 9.0
    leave_rate: float = 0.01
    astray_rate: float = 0.2
    enter_rate: float = 0.004
    turn_rate: float = 0.0133
