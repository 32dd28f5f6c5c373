"""How a robot without odometry moves, learned from its own matches: how far per second, which way.

What leaves a place at unknown velocity could be anywhere in reach, and a fast robot's reach is a
large part of a map. As no speed is usual for all robots, each order of magnitude is as probable as
the next, so that short steps count more. And a robot drives on as it did: along the direction in
which the places look, backward, aside, at its pace. That outlives what the tracks of places know,
which a jump ends.
"""

from __future__ import annotations

import math

import numpy as np

from progeo_core.geo import FloatArray

# The estimate follows the last few images that are sure.
_GAIN = 0.3
# Of what moves at unknown velocity, no more than this share goes by the estimate.
_MAX_SHARE = 0.8
# No robot goes faster than its usual speed and this many standard deviations of it.
_REACH_SIGMAS = 3.0
# Width of a step's prediction, in map spacings.
_STEP_SIGMA = 0.4
# Belief below this is not worth learning from.
_MIN_MASS = 1e-6
# Steps of a robot of unknown speed that are shorter than so many map spacings are told from
# standing by nothing: about as probable as each other.
_SHORT_STEP = 2.0


class LearnedMotion:
    """Estimate of a robot's motion in the frames of the places that it passes.

    mean: [2] m/s ahead and to the left, as the places look; where they have no direction, speed
    alone counts. variance: of the speed, m²/s². known: 0-1, how well it is known.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        self.mean = np.zeros(2)
        self.speed = self.variance = self.known = 0.0

    def learn(self, mass: FloatArray, velocity: FloatArray, yaw_rad: FloatArray) -> None:
        """Learn from belief [s] whose velocity [s, 3] (m/s) is known, at places of a yaw [s]."""
        total = float(mass.sum())
        if total < _MIN_MASS:
            return
        speeds = np.linalg.norm(velocity, axis=1)
        speed = float(mass @ speeds) / total
        spread = float(mass @ (speeds - speed) ** 2) / total
        if not self.known:
            self.speed, self.variance = speed, max(spread, speed**2 / 4.0)
        gain, surprise = _GAIN * total, speed - self.speed
        self.speed += gain * surprise
        self.variance += gain * (surprise**2 + spread - self.variance)
        directed = np.isfinite(yaw_rad)
        seen = float(mass[directed].sum())
        if seen > _MIN_MASS:
            cos, sin = np.cos(yaw_rad[directed]), np.sin(yaw_rad[directed])
            x, y = velocity[directed, 0], velocity[directed, 1]
            ahead = np.stack([cos * x + sin * y, cos * y - sin * x])
            self.mean += _GAIN * seen * (ahead @ mass[directed] / seen - self.mean)
        self.known += gain * (1.0 - self.known)

    def reach(self, elapsed_s: float) -> tuple[float, float]:
        """Return how far (m) the robot drives at most by what was learned, and how far that holds.

        The latter is the share (0-1) of the belief that goes by it.
        """
        fastest = self.speed + _REACH_SIGMAS * math.sqrt(self.variance)
        return fastest * elapsed_s, min(self.known, _MAX_SHARE)

    def weigh(
        self, offset: FloatArray, yaw_rad: FloatArray, elapsed_s: float, spacing_m: float
    ) -> tuple[FloatArray, float]:
        """Return how probable steps [p, 3] (m) are that leave places of a yaw [p].

        Returns weights [p], of no scale, and the share (0-1) of the belief that goes by
        them; the rest may go anywhere.
        """
        length = np.linalg.norm(offset, axis=1)
        sigma = math.hypot(_STEP_SIGMA * spacing_m, math.sqrt(self.variance) * elapsed_s)
        # Where the places have no direction, or the robot's is not settled, length is what counts.
        directed = np.isfinite(yaw_rad) & (np.linalg.norm(self.mean) > self.speed / 2.0)
        cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
        x, y = self.mean * elapsed_s
        beside = np.hypot(offset[:, 0] - (cos * x - sin * y), offset[:, 1] - (sin * x + cos * y))
        away = np.where(directed, beside, np.abs(length - self.speed * elapsed_s))
        return np.exp(-0.5 * (away / sigma) ** 2), min(self.known, _MAX_SHARE)


def likelihood_of_steps(length_m: FloatArray, spacing_m: float) -> FloatArray:
    """Return how probable steps [p] (m) are, of no scale, where nothing tells the robot's speed.

    The prior of an unknown scale is the reciprocal of it (Jeffreys 1946).
    """
    likelihood: FloatArray = 1.0 / (length_m + _SHORT_STEP * spacing_m)
    return likelihood


def chance_of_longer_step(longest_m: float, reach_m: float, spacing_m: float) -> float:
    """Return how probable such a step of at most `reach_m` is to be longer than `longest_m`."""
    short_m = _SHORT_STEP * spacing_m
    return max(0.0, 1.0 - math.log1p(longest_m / short_m) / math.log1p(reach_m / short_m))
