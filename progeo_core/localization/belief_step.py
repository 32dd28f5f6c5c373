"""How belief over places moves on: along a velocity, over gaps, round bends, beyond the map."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.localization.learned_motion import LearnedMotion, likelihood_of_steps
from progeo_core.localization.place_grid import Pairs, PlaceGrid
from progeo_core.localization.place_tracks import Arrivals, IntArray, Motions, PlaceTracks, arrived
from progeo_core.poses.pose_buffer import Travel

BoolArray = NDArray[np.bool_]

# Width of a step's prediction, in map spacings: a camera is seldom exactly at a place. A place
# farther than the latter from where a step leads is not where it ends.
_SIGMA, _NEAR = 0.4, 1.2
# Where places take less than this share of what is led there, it is in a gap of the map if a place
# is at most so many spacings ahead, in a direction whose cosine to the step's is more than this.
_COVERED, _GAP, _STRAIGHT = 0.5, 2.0, 0.9
# How much a place's own position corrects the predicted position and velocity (alpha-beta filter).
_POSITION_GAIN, _VELOCITY_GAIN = 0.8, 0.2
# Tracks with less than this share of the most belief, or less than so much, are not worth a search.
_MIN_SHARE, _MIN_MASS = 1e-3, 1e-9


class BeliefStep:
    """Motion of belief over places [n, 3] (m).

    spacing_m: their typical distance. longest_m: what a step is searched for at most, and how far
    beyond the end of a map its last place may still be seen. yaw_rad: [n], NaN unknown.
    """

    def __init__(
        self,
        position: FloatArray,
        yaw_rad: FloatArray,
        grid: PlaceGrid,
        spacing_m: float,
        longest_m: float,
    ) -> None:
        """Move over places; grid: of them."""
        self._position, self._yaw_rad, self._grid = position, yaw_rad, grid
        self._spacing_m, self._longest_m = spacing_m, longest_m

    def move(
        self,
        old: PlaceTracks,
        turn_rate: float,
        travel: Travel | None,
        elapsed_s: float,
        reach_m: float,
        learned: LearnedMotion | None,
    ) -> tuple[PlaceTracks, PlaceTracks]:
        """Return what belief is at places after a step, and what is beyond the map.

        The latter's rows are those of the places that it left. old: places may repeat. turn_rate:
        chance that the velocity changes abruptly; then the step ends anywhere in reach, or as
        learned motion tells. travel: odometry, None unknown.
        """
        moving = old.motions()
        step = _displacement(moving.velocity, elapsed_s, travel)
        steady = moving.mass * moving.is_known * (1.0 - turn_rate)
        led, covered = self._lead(moving, steady, step)
        missed = steady * (1.0 - covered)
        in_gap = self._is_in_gap(moving, np.where(covered < _COVERED, missed, 0.0), step)
        # A velocity that has not led to any place yet may be wrong: elsewhere its belief is lost.
        missed *= np.where(in_gap, 1.0, moving.led)
        turned, goes_on = self._bend(moving, np.where(in_gap, 0.0, missed), step)
        if travel is not None:
            # Odometry tells that the camera did not turn: what would follow the map is lost.
            turned = turned.first(0)
        edge, beyond = self._drive_on(moving, missed * (1.0 - goes_on), step)
        spread = self._spread(moving, moving.mass - steady, reach_m, elapsed_s, learned)
        return (
            arrived(led.joined(edge), turned.joined(spread), elapsed_s),
            arrived(beyond, beyond.first(0), elapsed_s),
        )

    def _lead(
        self, old: Motions, steady: FloatArray, step: FloatArray
    ) -> tuple[Arrivals, FloatArray]:
        """Return where belief [q] of known velocity arrives, and what share [q] of it places take.

        step: [q, 3] m.
        """
        sigma = _SIGMA * self._spacing_m
        expected = old.camera + step
        near = self._grid.near(expected, _NEAR * self._spacing_m)
        kernel = np.exp(-0.5 * (near.distance_m / sigma) ** 2)
        # Not normalised where few places are near: belief that leads off the map leaves it.
        found = np.bincount(near.point, kernel, len(step))
        mass = steady[near.point] * kernel / np.maximum(found, 1.0)[near.point]
        innovation = self._position[near.row] - expected[near.point]
        camera = expected[near.point] + _POSITION_GAIN * innovation
        step = step[near.point] + _VELOCITY_GAIN * innovation
        return Arrivals(near.row, mass, camera, step), np.minimum(found, 1.0)

    def _is_in_gap(self, old: Motions, missed: FloatArray, step: FloatArray) -> BoolArray:
        """Return which belief [q] is led between places that are far apart: one is ahead."""
        length_m, in_gap = np.linalg.norm(step, axis=1), np.zeros(len(step), bool)
        which = _worth_it(missed)
        expected = old.camera[which] + step[which]
        near = self._grid.near(expected, _GAP * self._spacing_m)
        origin = which[near.point]
        along = np.einsum("pi,pi->p", self._position[near.row] - expected[near.point], step[origin])
        in_gap[origin[along > _STRAIGHT * near.distance_m * length_m[origin]]] = True
        return in_gap

    def _bend(
        self, old: Motions, missed: FloatArray, step: FloatArray
    ) -> tuple[Arrivals, FloatArray]:
        """Return where belief [q] arrives that follows the map where it bends, and its share [q].

        Of places as far off as the step is long, that is all if one is less than 60° aside, and
        nothing if all are more than 120° aside.
        """
        length_m, share = np.linalg.norm(step, axis=1), np.zeros(len(step))
        which = _worth_it(missed)
        reach_m = float(length_m[which].max(initial=0.0)) + self._spacing_m
        near = self._grid.near(old.camera[which], min(reach_m, self._longest_m))
        origin = which[near.point]
        offset = self._position[near.row] - old.camera[origin]
        along = np.einsum("pi,pi->p", offset, step[origin])
        cosine = along / np.maximum(near.distance_m * length_m[origin], 1e-9)
        is_next = np.abs(near.distance_m - length_m[origin]) <= self._spacing_m
        is_next &= near.distance_m > 0.5 * self._spacing_m
        is_next &= cosine > -0.5
        near = Pairs(origin[is_next], near.row[is_next], near.distance_m[is_next])
        np.maximum.at(share, near.point, np.minimum(cosine[is_next] + 0.5, 1.0))
        mass = (missed * share)[near.point] * _share_out(np.ones(len(near.point)), near)
        return Arrivals(near.row, mass, self._position[near.row], offset[is_next]), share

    def _drive_on(
        self, old: Motions, missed: FloatArray, step: FloatArray
    ) -> tuple[Arrivals, Arrivals]:
        """Return where belief [q] arrives that drives on without places: near some, and beyond.

        Its cameras are where they were led to, as nothing that they see tells how far that is.
        """
        which = _worth_it(missed)
        expected = old.camera[which] + step[which]
        near = self._grid.near(expected, _NEAR * self._spacing_m)
        nearest = np.lexsort((near.distance_m, near.point))
        point, first = np.unique(near.point[nearest], return_index=True)
        edge, row = which[point], near.row[nearest[first]]
        left_m = np.linalg.norm(expected - self._position[old.rows[which]], axis=1)
        is_gone = left_m <= self._longest_m
        is_gone[point] = False
        gone = which[is_gone]
        return (
            Arrivals(row, missed[edge], expected[point], step[edge]),
            Arrivals(old.rows[gone], missed[gone], expected[is_gone], step[gone]),
        )

    def _spread(
        self,
        old: Motions,
        unsteady: FloatArray,
        reach_m: float,
        elapsed_s: float,
        learned: LearnedMotion | None,
    ) -> Arrivals:
        """Return where belief [q] of unknown velocity arrives: anywhere in reach.

        learned: motion, None where odometry or the spacing of the map tells how long steps are.
        """
        # What hardly anything leaves from is left out; its belief goes off the map.
        leaving = _worth_it(unsteady)
        near = self._grid.near(old.camera[leaving], min(reach_m, self._longest_m))
        origin = leaving[near.point]
        offset = self._position[near.row] - old.camera[origin]
        if learned is None:
            weight = _share_out(np.ones(len(origin)), near)
        else:
            weight = _share_out(likelihood_of_steps(near.distance_m, self._spacing_m), near)
            yaw = self._yaw_rad[old.rows[origin]]
            likely, known = learned.weigh(offset, yaw, elapsed_s, self._spacing_m)
            weight = (1.0 - known) * weight + known * _share_out(likely, near)
        return Arrivals(near.row, unsteady[origin] * weight, self._position[near.row], offset)


def _worth_it(mass: FloatArray) -> IntArray:
    """Return which belief [q] is enough to search for where it goes."""
    which: IntArray = np.flatnonzero(mass > max(_MIN_SHARE * mass.max(initial=0.0), _MIN_MASS))
    return which


def _share_out(weight: FloatArray, pairs: Pairs) -> FloatArray:
    """Return weights [p] that sum to one for every point."""
    total = np.bincount(pairs.point, weight)
    return weight / np.maximum(total, 1e-300)[pairs.point]


def _displacement(velocity: FloatArray, elapsed: float, travel: Travel | None) -> FloatArray:
    """Return the expected step [q, 3]: along the velocity, odometry setting its length and turn."""
    if travel is None:
        return velocity * elapsed
    speed = np.linalg.norm(velocity, axis=1, keepdims=True)
    direction = velocity / np.maximum(speed, 1e-9)
    cos, sin = math.cos(travel.turn_rad), math.sin(travel.turn_rad)
    turned = direction @ np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    step: FloatArray = travel.distance_m * turned
    return step
