"""Align the maps of two drives that share places but no frame.

Similar stretches of both propose transforms, a closer look at their places tells which of these
hold, and one that stands alone is refined. Where several hold none is chosen: the error lists them,
so that somebody who knows the site can say which.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from progeo_core.errors import DataError
from progeo_core.fleet.closer_look import MIN_AGREEING, CloserLook, Look
from progeo_core.fleet.drive import Drive
from progeo_core.fleet.frame_fit import FrameTransform, SharedPlaces, fit_frames
from progeo_core.fleet.similar_stretches import (
    apart_m,
    locate,
    propose_transforms,
    tolerance_m,
)
from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.inference.device import AUTO
from progeo_core.inference.feature_extractor import shared_extractor
from progeo_core.map.merge import frame_of_datum, require_comparable
from progeo_core.map.place_map import PlaceMap

# A transform with this share of the best one's evidence fits as well.
_RIVAL = 0.4
# A hint rules out what is farther from it than this (m, rad). Of several that it leaves, one must
# be nearer to it than any other by this factor.
_NEAR_M, _NEAR_RAD, _NEARER = 15.0, math.radians(30.0), 2.0
# Looks at the chosen transform, each from where the last one put it.
_REFINEMENTS = 2


class NoAlignmentError(DataError):
    """Maps of which too few places agree on any transform."""


class AmbiguousAlignmentError(DataError):
    """Maps that fit each other in several ways."""


class Alignment(NamedTuple):
    """Where the frame of one map is in that of another.

    frame: pose of the second map's frame in the first one's. agreeing: places that are where this
    puts them, of the `compared` ones. located: how many 3-D points locate. position_sigma_m:
    standard deviation of a position in the middle of the shared places.
    """

    frame: FrameTransform
    agreeing: int
    compared: int
    located: int
    position_sigma_m: float


class _Fit(NamedTuple):
    """Transform that was looked at, and what it is in the frame of the first map."""

    look: Look
    frame: FrameTransform


def align_maps(
    first: PlaceMap, second: PlaceMap, near: FloatArray | None = None, device: str = AUTO
) -> Alignment:
    """Return where the second map's frame is in the first one's.

    near: x, y (m) and yaw (rad) [3] of where it is, roughly; None for what the datums of both say,
    where they have any. device: finds the local features of thumbnails. Raises `NoAlignmentError`
    where too few places agree, `AmbiguousAlignmentError` where several transforms fit,
    `UsageError` and `ModelMismatchError` for maps that cannot be compared.
    """
    require_comparable([first, second])
    if near is None and first.datum is not None and second.datum is not None:
        frame = frame_of_datum(second.datum, first.datum)
        near = np.array([*frame.position[:2], float(frame.heading_rad)])
    # The map that stands still is the one whose landmarks are of use.
    swapped = second.has_landmarks and not first.has_landmarks
    extractor = shared_extractor(device)
    fixed, moved = (second, first) if swapped else (first, second)
    return _Aligner(Drive(fixed, extractor), Drive(moved, extractor), swapped, near).align()


class _Aligner:
    """Search for the transform between two drives; swapped: the first map's is the moved one."""

    def __init__(self, fixed: Drive, moved: Drive, swapped: bool, near: FloatArray | None) -> None:
        self._fixed, self._moved, self._swapped, self._near = fixed, moved, swapped, near
        self._located = locate(fixed, moved)
        known_within_m = math.inf if near is None else _NEAR_M
        self._closer_look = CloserLook(fixed, moved, self._located, known_within_m)

    def align(self) -> Alignment:
        proposed = propose_transforms(self._fixed, self._moved, self._located)
        looks = [self._closer_look.at(pose) for pose in proposed]
        best = self._chosen([self._fit(look) for look in looks if look.proven.suffices])
        if best is None:
            raise self._nothing_proven(looks)
        for _ in range(_REFINEMENTS):
            best = self._fit(self._closer_look.at(fit_frames(best.look.shared).pose))
        look, frame = best
        middle = self._shared(look).moved.mean(axis=0)
        sigma_m = frame.position_sigma_m(middle)
        return Alignment(frame, look.proven.agreeing, look.compared, look.alike.located, sigma_m)

    def _fit(self, look: Look) -> _Fit:
        return _Fit(look, fit_frames(self._shared(look)))

    def _shared(self, look: Look) -> SharedPlaces:
        return look.shared.swapped() if self._swapped else look.shared

    def _chosen(self, fits: list[_Fit]) -> _Fit | None:
        """Return the one that stands alone, None where there is none, or none near the hint."""
        fits = [fit for fit in fits if self._from_hint_m(fit) <= _NEAR_M]
        if self._near is not None and fits:
            fits.sort(key=self._from_hint_m)
            within_m = _NEARER * self._from_hint_m(fits[0])
            left = [fit for fit in fits if self._from_hint_m(fit) < within_m] or fits[:1]
        else:
            least = _RIVAL * max((fit.look.proven.total for fit in fits), default=0.0)
            left = [fit for fit in fits if fit.look.proven.total >= least]
        left = self._distinct(left)
        if len(left) > 1:
            raise self._several_fit(left)
        return left[0] if left else None

    def _distinct(self, fits: list[_Fit]) -> list[_Fit]:
        """Return the transforms that differ, the one that most places agree with first."""
        reach_m, kept = tolerance_m(self._fixed, self._moved), list[_Fit]()
        for fit in sorted(fits, key=lambda one: -one.look.alike.total):
            places = self._shared(fit.look).moved
            if all(apart_m(fit.frame.pose, one.frame.pose, places) > reach_m for one in kept):
                kept.append(fit)
        return kept

    def _from_hint_m(self, fit: _Fit) -> float:
        """Return how far (m) a transform is from the hint, 0 without one."""
        if self._near is None:
            return 0.0
        x, y, yaw = fit.frame.planar - self._near
        return math.hypot(x, y) if abs(float(wrap_angle(yaw))) <= _NEAR_RAD else math.inf

    @property
    def _names(self) -> str:
        one, other = self._fixed.place_map.path, self._moved.place_map.path
        return f"{other} and {one}" if self._swapped else f"{one} and {other}"

    def _nothing_proven(self, looks: list[Look]) -> DataError:
        """Return what is wrong where no transform is better than all others."""
        alike = self._distinct([self._fit(look) for look in looks if look.alike.suffices])
        if alike and self._near is None:
            least = _RIVAL * alike[0].look.alike.total
            return self._several_fit([fit for fit in alike if fit.look.alike.total >= least])
        found = "no two places look alike"
        if looks:
            best = max(looks, key=lambda one: one.proven.agreeing)
            found = f"at best {best.proven.agreeing} of {best.compared} places agree"
        where = "" if self._near is None else " near where the hint or the datums put them"
        return NoAlignmentError(
            f"{self._names}: {found}{where}, and {MIN_AGREEING} ({MIN_AGREEING // 2} with 3-D"
            " points) and half of those that should are needed; drives have to pass the same"
            " stretch, looking the same way"
        )

    def _several_fit(self, fits: list[_Fit]) -> AmbiguousAlignmentError:
        ways = "; ".join(
            f"--near {x:.1f},{y:.1f},{np.degrees(yaw):.0f} ({one.look.alike.agreeing} of"
            f" {one.look.compared} places)"
            for one in fits
            for x, y, yaw in [one.frame.planar]
        )
        return AmbiguousAlignmentError(
            f"{self._names}: places look as much like others as like their own, as where floors are"
            f" built alike; say where the second frame is roughly in the first. What fits: {ways}"
        )
