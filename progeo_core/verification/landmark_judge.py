"""Which landmarks of a map are to be refused, by what the images of all places tell of them.

One rule for maps that are built and for keyframes of a session that goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification.depth_scale import DepthScale, depth_scale, place_scale
from progeo_core.verification.landmark_check import Sighting, contradicted
from progeo_core.verification.place_groups import contradictions

_OTHERS = "most other images contradict them"
_MOST = "other images contradict most of the depth (another unit, or not registered) or the poses"


class _Place(NamedTuple):
    pose: CameraPose
    by_depth: bool
    sightings: Mapping[int, Sighting]

    @property
    def seen_positions(self) -> list[tuple[FloatArray, FloatArray]]:
        """Return the positions of other cameras, as the map gives them and as landmarks do."""
        return [
            (seen.given.position, seen.pose.position)
            for seen in self.sightings.values()
            if seen.pose is not None
        ]


class LandmarkJudge:
    """What places tell of each other's landmarks."""

    def __init__(self, standing: Mapping[int, CameraPose] | None = None) -> None:
        """Start with places whose landmarks stood already, as one group."""
        self._standing = standing or {}
        self._places: dict[int, _Place] = {}

    def add(
        self, place: int, pose: CameraPose, by_depth: bool, sightings: Mapping[int, Sighting]
    ) -> None:
        """Add a place with landmarks.

        by_depth: whether depth gave these. sightings: of them, by other places.
        """
        self._places[place] = _Place(pose, by_depth, sightings)

    def forget(self, place: int) -> None:
        """Leave a place out from now on."""
        self._places.pop(place, None)

    def refused(self) -> dict[int, str]:
        """Return the places that lose their landmarks, with the reason of each in words.

        A reason is of all places that have it.
        """
        by_depth = [place for place, one in self._places.items() if one.by_depth]
        if fault := self._scale().fault:
            found = dict.fromkeys(by_depth, fault)
            return self._in_groups(found) | found
        in_groups = self._in_groups({})
        alone = self._contradicted(in_groups)
        if 2 * len(alone) > len(by_depth):
            # Depth that is wrong is so, too, where few other places see it.
            alone = dict.fromkeys(by_depth, _MOST)
        return alone | in_groups

    def _scale(self) -> DepthScale:
        """Return the scale of depth against the poses."""
        return depth_scale(
            [
                (one.pose.position, place_scale(one.pose.position, one.seen_positions))
                for one in self._places.values()
                if one.by_depth
            ]
        )

    def _in_groups(self, without: Mapping[int, str]) -> dict[int, str]:
        """Return the places of groups that contradict others; without: places that say nothing."""
        judged = {place: one for place, one in self._places.items() if place not in without}
        sightings = {
            (place, other): seen
            for place, one in judged.items()
            for other, seen in one.sightings.items()
        }
        seeing = {other: seen.given for (_, other), seen in sightings.items()}
        poses = {**self._standing, **seeing, **{place: one.pose for place, one in judged.items()}}
        found = contradictions(poses, sightings, itertools.pairwise(self._standing))
        return {
            place: str(one)
            for one in found
            for place in one.refused
            # What stood is not lost for what is new, unless that is clearly more.
            if one.is_clear or place not in self._standing
        }

    def _contradicted(self, refused: Mapping[int, str]) -> dict[int, str]:
        """Return the places by depth that most others contradict, which are not refused already."""
        return {
            place: _OTHERS
            for place, one in self._places.items()
            if one.by_depth
            and place not in refused
            and contradicted(seen for other, seen in one.sightings.items() if other not in refused)
        }
