"""Whether places of a map look like others far away: floors built to one plan, rows of shelves.

A map tells it of itself. Where its places look more like some elsewhere than like their own
neighbours, an image that looks like a place may be from another one, and from one that nobody
mapped, too. So it is under a model that sees little: its descriptors differ in a few ways only, and
some place far away is as alike by chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from progeo_core.localization.prepared_map import PreparedMap

# Places that are looked at: enough for a share, few enough for a large map.
_SAMPLE = 50
# Places that each of them is compared with, the most similar ones.
_CANDIDATES = 50
# Places farther apart than this many radii of a place show something else.
APART_RADII = 2.0
# In standard deviations of the similarity of far places: of some hundred places that have nothing
# in common, the most similar one is no more alike.
_MIN_LEVEL = 3.0
# Places that share more than they differ in are alike, no matter how often chance makes them so.
_MOSTLY_ALIKE = 0.5
# Where more of a map's places than this look like others, no answer goes without verification, and
# no lead over what other places share tells the right one.
MANY_ALIKE = 0.2


def alike_by_chance(far_spread: float) -> bool:
    """Whether far places that have nothing in common may look alike to the model of a map.

    far_spread: standard deviation of the similarity of far places.
    """
    return _MIN_LEVEL * far_spread > _MOSTLY_ALIKE


def share_of_look_alikes(prepared: PreparedMap, radius_m: float) -> float:
    """Return the share of places that look more like one elsewhere than like any near them.

    radius_m: of one place.
    """
    count = len(prepared.places.ids)
    rows = np.arange(0, count, -(-count // _SAMPLE))
    return float(np.mean([_has_look_alike(prepared, int(row), radius_m) for row in rows]))


def _has_look_alike(prepared: PreparedMap, row: int, radius_m: float) -> bool:
    descriptor = prepared.place_map.descriptors(prepared.places.ids[[row]])[0].astype(np.float32)
    found = prepared.search(descriptor, _CANDIDATES)
    found = found[found != row]
    standardized = prepared.standardization.apply(descriptor[None])[0]
    similarity = prepared.similarity(standardized, found)
    position = prepared.places.position
    distance_m = np.linalg.norm(position[found] - position[row], axis=1)
    near = similarity[distance_m <= radius_m].max(initial=-1.0)
    elsewhere = similarity[distance_m > APART_RADII * radius_m].max(initial=-1.0)
    level = min(_MIN_LEVEL * prepared.far_spread, _MOSTLY_ALIKE)
    return bool(elsewhere > max(float(near), level))
