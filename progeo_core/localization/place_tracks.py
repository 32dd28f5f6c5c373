"""Places that carry belief, each with where the camera is if it is there, and its velocity."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray

IntArray = NDArray[np.int64]

# Keeps shares of no belief finite.
_TINY = 1e-300


class PlaceTracks(NamedTuple):
    """Distinct places that carry belief [s]: row, probability, the camera's position [s, 3] (m).

    velocity: [s, 3] m/s. steady: [s] share of the probability whose velocity is known. led: [s]
    share that came by a velocity that was known before.
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
        short_m = np.maximum(0.0, moved_m - np.linalg.norm(self.velocity, axis=1))
        steady = self.steady * np.exp(-0.5 * (short_m / sigma_m) ** 2)
        share = 1.0 - self.steady + steady
        return self._replace(mass=self.mass * share, steady=steady / np.maximum(share, _TINY))

    def joined(self, other: PlaceTracks) -> PlaceTracks:
        """Return these and others, whose places may be the same."""
        return PlaceTracks._make(np.concatenate(pair) for pair in zip(self, other, strict=True))

    def entered(self, new: PlaceTracks) -> PlaceTracks:
        """Return the new tracks, of which the first are at these places, with these in them."""
        count = len(self.rows)
        mass = new.mass + np.pad(self.mass, (0, len(new.rows) - count))
        share = self.mass / np.maximum(mass[:count], _TINY)
        new.camera[:count] += share[:, None] * (self.camera - new.camera[:count])
        new.velocity[:count] = share[:, None] * self.velocity
        new.steady[:count] = share * self.steady
        new.led[:count] = share * self.led
        return new._replace(mass=mass)


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
    still, unknown = np.zeros((count, 3)), np.zeros(count)
    full = np.full(count, mass)
    return PlaceTracks(rows, full, position[rows], still, unknown, unknown.copy())


def arrived(led: Arrivals, other: Arrivals, elapsed_s: float) -> PlaceTracks:
    """Return one track per place of what arrived there, by a velocity known before and otherwise.

    Cameras and velocities are the means of what arrived.
    """
    together = led.joined(other)
    rows, target = np.unique(together.rows, return_inverse=True)
    mass = np.maximum(np.bincount(target, together.mass, len(rows)), _TINY)
    came_led = np.bincount(target[: len(led.rows)], led.mass, len(rows))
    return PlaceTracks(
        rows,
        mass,
        _averages(target, together.mass, together.camera, mass),
        _averages(target, together.mass, together.step, mass) / elapsed_s,
        np.ones(len(rows)),
        came_led / mass,
    )


def _averages(
    target: IntArray, mass: FloatArray, values: FloatArray, total: FloatArray
) -> FloatArray:
    """Return the mean of values [p, 3] by mass, one row per target."""
    sums = [np.bincount(target, mass * column, len(total)) for column in values.T]
    return np.stack(sums, axis=-1) / total[:, None]
