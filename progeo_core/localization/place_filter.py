"""Where a moving camera is: a belief over the places of a map, and over being off it.

A recursive Bayes filter whose states are the places plus one state "off the map". Every place that
carries belief also carries a velocity, so an image must look like the place that the motion led
to; that is what tells similar places apart. The cost grows with the places that carry belief,
not with the map.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.localization.fitted_constants import SequenceConstants
from progeo_core.localization.learned_motion import LearnedMotion
from progeo_core.localization.place_grid import Pairs, PlaceGrid
from progeo_core.poses.pose_buffer import Travel
from progeo_core.settings import Settings, setting

IntArray = NDArray[np.int64]

# Width of a step's prediction, in map spacings: a camera is seldom exactly at a place.
_STEP_SIGMA = 0.4
# How much a place's own position corrects the predicted position and velocity (alpha-beta filter).
_POSITION_GAIN, _VELOCITY_GAIN = 0.8, 0.2
# Chance that a camera of which nothing is known is on the map: who loads a map means to use it.
_FIRST_ON_MAP = 0.8
# How far (map spacings) a camera of unknown velocity may have moved beyond its known motion.
_FREE_REACH = 2.0
# Positions of one place in two maps of one frame differ by less than this (m).
_SAME_POINT_M = 0.01
# Places that carry belief; the rest of the belief is counted as off the map.
_SUPPORT = 100
# Places with less than this share of the most belief of unknown velocity do not spread it.
_MIN_SPREAD = 1e-3
# Where a step ends is searched this many spacings around; what may lead farther ends anywhere.
_LONGEST_STEP = 20.0
# After so many times the usual time between images, what was learned of the motion holds no more.
_LONG_SILENCE = 3.0
_USUAL_GAIN = 0.2


@dataclasses.dataclass(frozen=True)
class PlaceFilterSettings(Settings):
    """Settings for how motion changes the belief."""

    max_speed_mps: float = setting(
        15.0,
        "Fastest motion (m/s) where neither odometry nor the track tells it",
        low=0.01,
        high=500.0,
    )


class Belief(NamedTuple):
    """Belief over the places of a map: those that carry some, all [s], heaviest first.

    rows: rows of the places. probability: sums to one with `off_map`. position: [s, 3] metres,
    the camera's if it is at that place, which the motion makes finer than the place's own.
    similarity: as given for the rows.
    """

    rows: IntArray
    probability: FloatArray
    position: FloatArray
    similarity: FloatArray
    off_map: float


class _Tracks(NamedTuple):
    """Places that carry belief [s]: row, probability, the camera's position [s, 3] and velocity.

    steady: [s] share of the probability whose velocity is known.
    """

    rows: IntArray
    mass: FloatArray
    camera: FloatArray
    velocity: FloatArray
    steady: FloatArray


class PlaceFilter:
    """Bayes filter over the places of a map: for every image `predict`, then `update`."""

    def __init__(
        self,
        position: FloatArray,
        spacing_m: float,
        settings: PlaceFilterSettings | None = None,
        constants: SequenceConstants | None = None,
        yaw_rad: FloatArray | None = None,
    ) -> None:
        """Filter over places [n, 3] (m) of a typical distance (m, 0 if all are in one spot).

        yaw_rad: [n] directions in which they look, NaN unknown.
        """
        self._max_speed_mps = (settings or PlaceFilterSettings()).max_speed_mps
        self.constants = constants or SequenceConstants()
        self._position = position
        self._yaw_rad = np.full(len(position), np.nan) if yaw_rad is None else yaw_rad
        # All places in one spot: any positive size will do.
        self.spacing_m = spacing_m or 1.0
        self._longest_m = _LONGEST_STEP * self.spacing_m
        self._grid = PlaceGrid(position, _FREE_REACH * self.spacing_m)
        self._usual_s = 0.0
        self.reset()

    def reset(self) -> None:
        """Forget everything: the camera may be anywhere on the map, or off it."""
        self._tracks = _new_tracks(np.empty(0, np.int64), self._position, 0.0)
        self._off_map = 1.0
        self._enter_rate = _FIRST_ON_MAP
        self._motion = LearnedMotion()

    def start_at(self, rows: IntArray, probability: FloatArray) -> None:
        """Forget everything but a belief over places [s]; what it lacks of one is off the map."""
        self.reset()
        self._keep_heaviest(
            _new_tracks(rows, self._position, 0.0)._replace(mass=np.asarray(probability))
        )

    def continue_from(self, before: PlaceFilter) -> None:
        """Take over the belief of a filter over another map in the same frame.

        Places of both maps are the same ones where they are at one point. What the other filter
        believed of places that this one lacks counts as off the map.
        """
        self.reset()
        rows, mass, camera, velocity, steady = before._tracks
        pairs = self._grid.near(before._position[rows], _SAME_POINT_M)
        same, point = np.unique(pairs.row, return_index=True)
        kept = pairs.point[point]
        # Several places at one point share its belief.
        share = mass[kept] / np.bincount(kept, minlength=len(rows))[kept]
        self._enter_rate, self._usual_s = before._enter_rate, before._usual_s
        self._motion = before._motion
        self._keep_heaviest(_Tracks(same, share, camera[kept], velocity[kept], steady[kept]))

    def doubt(self, share: float) -> None:
        """Reset a share (0-1) of the belief: so probably the camera was carried off."""
        self._scatter(share, 1.0 - self.constants.astray_rate)

    def predict(self, elapsed_s: float | None, travel: Travel | None = None) -> IntArray:
        """Move the belief on by one step and return the rows of places that now carry some.

        elapsed_s: time since the last step; None unknown, then every step counts as one second and
        a camera of unknown velocity as no faster than the spacing of the map. travel: odometry.
        """
        reach = _FREE_REACH * self.spacing_m
        if travel is not None:
            reach += travel.distance_m
        elif elapsed_s is not None:
            reach += self._max_speed_mps * elapsed_s
        elapsed = 1.0 if elapsed_s is None else elapsed_s
        is_far = travel is None and elapsed_s is not None
        usual = self._usual_s or elapsed
        if elapsed > 0.0:
            self._usual_s = usual + _USUAL_GAIN * (elapsed - usual)
        is_silence = is_far and elapsed > _LONG_SILENCE * usual
        if is_silence and reach > self._longest_m:
            self.reset()
        elif len(self._tracks.rows) and elapsed > 0.0:
            beyond = self._chance_beyond(reach, elapsed if is_far else 0.0)
            # Time alone, not where the map was searched, makes it less sure to be on it.
            self._scatter(beyond, max(_FIRST_ON_MAP, (1.0 - self.constants.leave_rate) ** elapsed))
            step = _displacement(self._tracks.velocity, elapsed, travel)
            self._move(step, min(reach, self._longest_m), elapsed, is_far=is_far)
        return self._tracks.rows

    def update(
        self, rows: IntArray, similarity: FloatArray, log_odds: FloatArray, novelty: float = 1.0
    ) -> Belief:
        """Weigh the belief by an image and return it.

        rows: [k] distinct, first the ones that `predict` returned, in that order, then any others
        that look similar; those left out are taken to look different. similarity: [k], kept in the
        belief. log_odds: [k] of the places against being off the map, by this image. novelty: 0-1,
        how much of the image the last one had not shown.
        """
        entering = self._enter_rate * self._off_map / len(self._position)
        tracks = self._with_entering(rows, entering)
        limit = self.constants.evidence_limit
        # The limit guards the odds against being off the map; between places, what tells the best
        # one from the others stays whole.
        excess = max(0.0, float(log_odds.max(initial=0.0)) - limit)
        mass = tracks.mass * np.exp(novelty * np.maximum(log_odds - excess, -limit))
        off_map = self._off_map - entering * len(rows)
        total = mass.sum() + off_map
        self._enter_rate = self.constants.enter_rate
        kept = self._keep_heaviest(tracks._replace(mass=mass / total))
        rows, mass, camera, velocity, steady = self._tracks
        self._motion.learn(mass * steady, velocity, self._yaw_rad[rows])
        return Belief(rows, mass, camera, similarity[kept], self._off_map)

    def weigh(self, belief: Belief, log_odds: FloatArray) -> Belief:
        """Return the last belief after more evidence of the same image for its places [s]."""
        mass = belief.probability * np.exp(log_odds)
        total = mass.sum() + belief.off_map
        order = self._keep_heaviest(self._tracks._replace(mass=mass / total))
        return Belief(
            self._tracks.rows,
            self._tracks.mass,
            self._tracks.camera,
            belief.similarity[order],
            self._off_map,
        )

    def _scatter(self, share: float, on_map: float) -> None:
        """Reset a share (0-1) of the belief, which is anywhere on the map so probably (0-1)."""
        moved = share * (1.0 - self._off_map)
        off_map = self._off_map + moved
        if off_map > 0.0:
            arriving = self._enter_rate * self._off_map + on_map * moved
            self._enter_rate = arriving / off_map
        self._tracks = self._tracks._replace(mass=self._tracks.mass * (1.0 - share))
        self._off_map = off_map

    def _chance_beyond(self, reach_m: float, learned_s: float) -> float:
        """Return how probable it is that a step ends beyond what is searched, so anywhere.

        learned_s: time of a step for which learned motion counts, too; 0 for none.
        """
        chance = max(0.0, 1.0 - self._longest_m / reach_m)
        if chance and learned_s:
            learned_m, known = self._motion.reach(learned_s)
            learned_m += _FREE_REACH * self.spacing_m
            chance += known * (max(0.0, 1.0 - self._longest_m / learned_m) - chance)
        return chance

    def _move(self, step: FloatArray, reach_m: float, elapsed: float, *, is_far: bool) -> None:
        """Spread the belief: most of it by the expected step [s, 3], the rest anywhere in reach.

        is_far: whether anywhere in reach is much of a map, so that learned motion tells more.
        """
        old = self._tracks
        sigma = _STEP_SIGMA * self.spacing_m
        steady = old.mass * old.steady * (1.0 - self.constants.turn_rate)
        expected = old.camera + step
        led = self._grid.near(expected, 3.0 * sigma)
        kernel = np.exp(-0.5 * (led.distance_m / sigma) ** 2)
        # Not normalised where few places are near: belief that leads off the map leaves it.
        covered = np.maximum(np.bincount(led.point, kernel, len(step)), 1.0)
        led_mass = steady[led.point] * kernel / covered[led.point]
        unsteady = old.mass - steady
        # What hardly anything leaves from is not worth a search; its belief goes off the map.
        leaving = np.flatnonzero(unsteady > _MIN_SPREAD * unsteady.max())
        free = self._grid.near(old.camera[leaving], reach_m)
        origin = leaving[free.point]
        weight = _share_out(np.ones(len(origin)), free)
        if is_far:
            offset = self._position[free.row] - old.camera[origin]
            yaw = self._yaw_rad[old.rows[origin]]
            learned, known = self._motion.weigh(offset, yaw, elapsed, self.spacing_m)
            weight = (1.0 - known) * weight + known * _share_out(learned, free)
        free_mass = unsteady[origin] * weight

        innovation = self._position[led.row] - expected[led.point]
        camera = np.concatenate(
            [expected[led.point] + _POSITION_GAIN * innovation, self._position[free.row]]
        )
        velocity = np.concatenate(
            [
                step[led.point] + _VELOCITY_GAIN * innovation,
                self._position[free.row] - old.camera[origin],
            ]
        )
        rows, target = np.unique(np.concatenate([led.row, free.row]), return_inverse=True)
        mass = np.concatenate([led_mass, free_mass])
        stay = 1.0 - self.constants.leave_rate
        arrived = np.maximum(np.bincount(target, mass, len(rows)), 1e-300)
        self._keep_heaviest(
            _Tracks(
                rows,
                arrived * stay,
                _averages(target, mass, camera, arrived),
                _averages(target, mass, velocity, arrived) / elapsed,
                np.ones(len(rows)),
            )
        )

    def _with_entering(self, rows: IntArray, entering: float) -> _Tracks:
        """Return tracks of all rows; each gains what enters the map there, at unknown velocity."""
        old, count = self._tracks, len(self._tracks.rows)
        new = _new_tracks(rows, self._position, entering)
        mass = new.mass + np.pad(old.mass, (0, len(rows) - count))
        share = old.mass / np.maximum(mass[:count], 1e-300)
        new.camera[:count] += share[:, None] * (old.camera - new.camera[:count])
        new.velocity[:count] = share[:, None] * old.velocity
        new.steady[:count] = share * old.steady
        return new._replace(mass=mass)

    def _keep_heaviest(self, tracks: _Tracks) -> IntArray:
        """Keep the places with most belief, the rest counts as off the map; return their order."""
        order = np.argsort(-tracks.mass, kind="stable")[:_SUPPORT]
        rows, mass, camera, velocity, steady = tracks
        self._tracks = _Tracks(
            rows[order], mass[order], camera[order], velocity[order], steady[order]
        )
        self._off_map = max(0.0, 1.0 - float(self._tracks.mass.sum()))
        return order


def _share_out(weight: FloatArray, pairs: Pairs) -> FloatArray:
    """Return weights [p] that sum to one for every point."""
    total = np.bincount(pairs.point, weight)
    return weight / np.maximum(total, 1e-300)[pairs.point]


def _new_tracks(rows: IntArray, position: FloatArray, mass: float) -> _Tracks:
    """Return tracks that stand at their places, with nothing known of their velocity."""
    count = len(rows)
    return _Tracks(
        rows, np.full(count, mass), position[rows], np.zeros((count, 3)), np.zeros(count)
    )


def _displacement(velocity: FloatArray, elapsed: float, travel: Travel | None) -> FloatArray:
    """Return the expected step [s, 3]: along the velocity, odometry setting its length and turn."""
    if travel is None:
        return velocity * elapsed
    speed = np.linalg.norm(velocity, axis=1, keepdims=True)
    direction = velocity / np.maximum(speed, 1e-9)
    cos, sin = math.cos(travel.turn_rad), math.sin(travel.turn_rad)
    turned = direction @ np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    step: FloatArray = travel.distance_m * turned
    return step


def _averages(
    target: IntArray, mass: FloatArray, values: FloatArray, total: FloatArray
) -> FloatArray:
    """Return the mean of values [p, 3] by mass, one row per target."""
    sums = [np.bincount(target, mass * column, len(total)) for column in values.T]
    return np.stack(sums, axis=-1) / total[:, None]
