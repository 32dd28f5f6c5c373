"""Places that carry belief, each with where the camera is if it is there, and how it may move."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray

IntArray = NDArray[np.int64]

# Velocities that a place keeps. Arrivals whose steps differ from the heaviest by less than this
# share of it move alike.
MOTIONS, _ALIKE = 3, 0.35
# Keeps shares of no belief finite.
_TINY = 1e-300


class PlaceTracks(NamedTuple):
    """Distinct places that carry belief [s]: row, probability, the camera's position [s, 3] (m).

    velocity: [s, MOTIONS, 3] m/s. steady: [s, MOTIONS] share of the probability that moves so; the
    velocity of the rest is not known. led: [s, MOTIONS] share of that which came by a velocity that
    was known before.
    """

    rows: IntArray
    mass: FloatArray
    camera: FloatArray
    velocity: FloatArray
    steady: FloatArray
    led: FloatArray

    @property
    def total(self) -> float:
        """Return the probability of all of them."""
        return float(self.mass.sum())

    def scaled(self, factor: FloatArray | float) -> PlaceTracks:
        """Return them with each, or all, so many times as probable."""
        return self._replace(mass=self.mass * factor)

    def select(self, which: IntArray) -> PlaceTracks:
        """Return some of them, in that order."""
        return PlaceTracks._make(column[which] for column in self)

    def heaviest(self, most: int) -> IntArray:
        """Return the indices of so many that carry most, heaviest first."""
        return np.argsort(-self.mass, kind="stable")[:most]

    def less_slow(self, moved_m: float, sigma_m: float) -> PlaceTracks:
        """Return them less what moves too slowly, in steps of a second, to have moved so far.

        sigma_m: deviation of a step from what the view tells of it.
        """
        short_m = np.maximum(0.0, moved_m - np.linalg.norm(self.velocity, axis=2))
        steady = self.steady * np.exp(-0.5 * (short_m / sigma_m) ** 2)
        share = 1.0 - self.steady.sum(axis=1) + steady.sum(axis=1)
        steady /= np.maximum(share, _TINY)[:, None]
        return self._replace(mass=self.mass * share, steady=steady)

    def joined(self, other: PlaceTracks) -> PlaceTracks:
        """Return these and others, whose places may be the same."""
        return PlaceTracks._make(np.concatenate(pair) for pair in zip(self, other, strict=True))

    def entered(self, new: PlaceTracks) -> PlaceTracks:
        """Return the new tracks, of which the first are at these places, with these in them."""
        count = len(self.rows)
        mass = new.mass + np.pad(self.mass, (0, len(new.rows) - count))
        share = self.mass / np.maximum(mass[:count], _TINY)
        new.camera[:count] += share[:, None] * (self.camera - new.camera[:count])
        new.velocity[:count], new.led[:count] = self.velocity, self.led
        new.steady[:count] = share[:, None] * self.steady
        return new._replace(mass=mass)

    def motions(self) -> Motions:
        """Return what they carry by each velocity, and by none that is known, all in one row."""
        unknown = np.maximum(0.0, 1.0 - self.steady.sum(axis=1))
        share = np.column_stack([self.steady, unknown])
        place, motion = np.nonzero(share * self.mass[:, None])
        is_known = motion < MOTIONS
        which = np.minimum(motion, MOTIONS - 1)
        return Motions(
            self.rows[place],
            self.mass[place] * share[place, motion],
            self.camera[place],
            is_known,
            np.where(is_known[:, None], self.velocity[place, which], 0.0),
            np.where(is_known, self.led[place, which], 0.0),
        )


class Motions(NamedTuple):
    """Belief by place and velocity [q]: row, probability, the camera's position [q, 3] (m).

    Places repeat. velocity: [q, 3] m/s, 0 where it is not known. is_known: [q]. led: [q] share that
    came by a velocity that was known before.
    """

    rows: IntArray
    mass: FloatArray
    camera: FloatArray
    is_known: NDArray[np.bool_]
    velocity: FloatArray
    led: FloatArray


class Arrivals(NamedTuple):
    """Belief that a step takes to places [p]: row, probability, camera [p, 3] and step [p, 3] (m).

    Places may repeat.
    """

    rows: IntArray
    mass: FloatArray
    camera: FloatArray
    step: FloatArray

    def joined(self, other: Arrivals) -> Arrivals:
        """Return these and others."""
        return Arrivals._make(np.concatenate(pair) for pair in zip(self, other, strict=True))

    def first(self, count: int) -> Arrivals:
        """Return so many of them."""
        return Arrivals._make(column[:count] for column in self)


def standing(rows: IntArray, position: FloatArray, mass: float) -> PlaceTracks:
    """Return tracks at places, each so probable, with nothing known of their velocity.

    position: [n, 3] of all places.
    """
    count = len(rows)
    still, unknown = np.zeros((count, MOTIONS, 3)), np.zeros((count, MOTIONS))
    full = np.full(count, mass)
    return PlaceTracks(rows, full, position[rows], still, unknown, unknown.copy())


def arrived(led: Arrivals, other: Arrivals, elapsed_s: float) -> PlaceTracks:
    """Return one track per place of what arrived there, by a velocity known before and otherwise.

    The camera is the mean of all. Each velocity is that of the heaviest arrival that no other one
    has yet, and the mean of those that move alike; what then is left has none.
    """
    together = led.joined(other)
    rows, target = np.unique(together.rows, return_inverse=True)
    count = len(rows)
    mass = np.maximum(np.bincount(target, together.mass, count), _TINY)
    camera = _averages(target, together.mass, together.camera, mass)
    was_known = np.arange(len(target)) < len(led.rows)
    velocity = np.zeros((count, MOTIONS, 3))
    steady, known = np.zeros((count, MOTIONS)), np.zeros((count, MOTIONS))
    left = together.mass.copy()
    for motion in range(MOTIONS if count else 0):
        step = together.step[_heaviest_of_each(target, left)]
        apart_m = np.linalg.norm(together.step - step[target], axis=1)
        alike = apart_m <= _ALIKE * np.linalg.norm(step, axis=1)[target]
        taken = np.where(alike, left, 0.0)
        total = np.bincount(target, taken, count)
        some = np.maximum(total, _TINY)
        velocity[:, motion] = _averages(target, taken, together.step, some) / elapsed_s
        steady[:, motion] = total / mass
        known[:, motion] = np.bincount(target, taken * was_known, count) / some
        left[alike] = 0.0
    return PlaceTracks(rows, mass, camera, velocity, steady, known)


def _heaviest_of_each(target: IntArray, mass: FloatArray) -> IntArray:
    """Return which of the values [p] is the heaviest of each target, all of which have some."""
    order = np.lexsort((mass, target))
    last = np.append(np.diff(target[order]) > 0, True)
    heaviest: IntArray = order[last]
    return heaviest


def _averages(
    target: IntArray, mass: FloatArray, values: FloatArray, total: FloatArray
) -> FloatArray:
    """Return the mean of values [p, 3] by mass, one row per target."""
    sums = [np.bincount(target, mass * column, len(total)) for column in values.T]
    return np.stack(sums, axis=-1) / total[:, None]
