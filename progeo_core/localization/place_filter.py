"""Where a moving camera is: a belief over the places of a map, and over being off it.

A recursive Bayes filter whose states are the places plus one state "off the map". Every place that
carries belief also carries a few velocities, so an image must look like the place that the motion
led to; that is what tells similar places apart. Where motion leads beyond the end of the map, all
still looks as it does from the last place, so belief that drove on there is off the map but looks
like that place. The cost grows with the places that carry belief, not with the map.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.localization.belief_step import BeliefStep
from progeo_core.localization.fitted_constants import SequenceConstants
from progeo_core.localization.learned_motion import LearnedMotion, chance_of_longer_step
from progeo_core.localization.place_grid import PlaceGrid
from progeo_core.localization.place_tracks import IntArray, PlaceTracks, standing
from progeo_core.poses.pose_buffer import Travel
from progeo_core.settings import Settings, setting

# Chance that a camera of which nothing is known is on the map: who loads a map means to use it.
_FIRST_ON_MAP = 0.8
# How far (map spacings) a camera of unknown velocity may have moved beyond its known motion.
_FREE_REACH = 2.0
# Positions of one place in two maps of one frame differ by less than this (m).
_SAME_POINT_M = 0.01
# Places that carry belief; the rest of the belief is counted as off the map.
_SUPPORT = 100
# Where a step ends is searched this many spacings around; what may lead farther ends anywhere.
_LONGEST_STEP = 20.0
# After so many times the usual time between images, what was learned of the motion holds no more.
_LONG_SILENCE = 3.0
_USUAL_GAIN = 0.2
# How well the change of the view tells the length of a step, in map spacings.
_VIEW_SIGMA = 0.7


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
    similarity, log_odds: as given for the rows, by the last image's looks alone.
    """

    rows: IntArray
    probability: FloatArray
    position: FloatArray
    similarity: FloatArray
    log_odds: FloatArray
    off_map: float


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
        """Filter over places [n, 3] (m), told apart at a distance (m, 0 if all are in one spot).

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
        self._step = BeliefStep(
            position, self._yaw_rad, self._grid, self.spacing_m, self._longest_m
        )
        self._usual_s = 0.0
        self.reset()

    def reset(self) -> None:
        """Forget everything: the camera may be anywhere on the map, or off it."""
        # Those of which motion led beyond the map are rows of the places that they left; what they
        # carry is part of what is off the map.
        self._tracks = self._beyond = standing(np.empty(0, np.int64), self._position, 0.0)
        self._off_map = 1.0
        self._enter_rate = _FIRST_ON_MAP
        self._motion = LearnedMotion()

    def start_at(self, rows: IntArray, probability: FloatArray) -> None:
        """Forget everything but a belief over places [s]; what it lacks of one is off the map."""
        self.reset()
        self._keep_heaviest(standing(rows, self._position, 1.0).scaled(np.asarray(probability)))

    def continue_from(self, before: PlaceFilter) -> None:
        """Take over the belief of a filter over another map in the same frame.

        Places of both maps are the same ones where they are at one point. What the other filter
        believed of places that this one lacks counts as off the map.
        """
        self.reset()
        self._enter_rate, self._usual_s = before._enter_rate, before._usual_s
        self._motion = before._motion
        self._beyond = self._same_places(before, before._beyond)
        self._keep_heaviest(self._same_places(before, before._tracks))

    def _same_places(self, before: PlaceFilter, tracks: PlaceTracks) -> PlaceTracks:
        """Return tracks of another filter at the places of this one, as far as it has them."""
        pairs = self._grid.near(before._position[tracks.rows], _SAME_POINT_M)
        same, point = np.unique(pairs.row, return_index=True)
        kept = pairs.point[point]
        # Several places at one point share its belief.
        share = 1.0 / np.bincount(kept, minlength=len(tracks.rows))[kept]
        return tracks.select(kept).scaled(share)._replace(rows=same)

    def doubt(self, share: float) -> None:
        """Reset a share (0-1) of the belief: so probably the camera was carried off."""
        self._scatter(share, 1.0 - self.constants.astray_rate)

    def predict(
        self, elapsed_s: float | None, travel: Travel | None = None, moved_m: float = 0.0
    ) -> IntArray:
        """Move the belief on by one step and return the rows of places that now carry some.

        elapsed_s: time since the last step; None unknown, then every step counts as one second and
        a camera of unknown velocity as no faster than the spacing of the map. travel: odometry.
        moved_m: by how much of the view changed; counts where neither time nor odometry tells.
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
            old = self._tracks.joined(self._beyond).scaled(1.0 - self.constants.leave_rate)
            if elapsed_s is None and travel is None:
                old = old.less_slow(moved_m, _VIEW_SIGMA * self.spacing_m)
            learned = self._motion if is_far else None
            on_map, self._beyond = self._step.move(
                old, self.constants.turn_rate, travel, elapsed, reach, learned
            )
            self._keep_heaviest(on_map)
            self._beyond = self._beyond.select(self._beyond.heaviest(_SUPPORT))
        return self._tracks.rows

    def update(
        self, rows: IntArray, similarity: FloatArray, log_odds: FloatArray, novelty: float = 1.0
    ) -> Belief:
        """Weigh the belief by an image and return it.

        rows: [k] distinct, first the ones that `predict` returned, in that order, then any others
        that look similar; those left out are taken to look different. similarity: [k]. log_odds:
        [k] of the places against being off the map, by this image. Both are kept in the belief.
        novelty: 0-1, how much of the image the last one had not shown.
        """
        entering = self._enter_rate / len(self._position)
        new = standing(rows, self._position, entering * self._off_map)
        tracks = self._tracks.entered(new)
        staying = 1.0 - entering * len(rows)
        self._beyond = self._beyond.scaled(staying)
        limit = self.constants.evidence_limit
        # The limit guards the odds against being off the map; between places, what tells the best
        # one from the others stays whole.
        excess = max(0.0, float(log_odds.max(initial=0.0)) - limit)
        odds = np.exp(novelty * np.maximum(log_odds - excess, -limit))
        self._enter_rate = self.constants.enter_rate
        belief = self._weighed(tracks, odds, self._off_map * staying, similarity, log_odds)
        moving = self._tracks.motions()
        known = moving.mass * moving.is_known
        self._motion.learn(known, moving.velocity, self._yaw_rad[moving.rows])
        return belief

    def weigh(self, belief: Belief, log_odds: FloatArray) -> Belief:
        """Return the last belief after more evidence of the same image for its places [s]."""
        tracks = self._tracks._replace(mass=belief.probability)
        odds = np.exp(log_odds)
        return self._weighed(tracks, odds, belief.off_map, belief.similarity, belief.log_odds)

    def _weighed(
        self,
        tracks: PlaceTracks,
        odds: FloatArray,
        off_map: float,
        similarity: FloatArray,
        log_odds: FloatArray,
    ) -> Belief:
        """Weigh tracks [k] by the odds of their places against being off the map.

        similarity, log_odds: [k], kept in the belief.
        """
        total = (tracks.mass * odds).sum() + off_map + self._weigh_beyond(tracks.rows, odds)
        self._beyond = self._beyond.scaled(1.0 / total)
        kept = self._keep_heaviest(tracks.scaled(odds / total))
        rows, mass, camera, *_ = self._tracks
        return Belief(rows, mass, camera, similarity[kept], log_odds[kept], self._off_map)

    def _weigh_beyond(self, rows: IntArray, odds: FloatArray) -> float:
        """Weigh what is beyond the map by the odds of places [k]; return what it gained.

        It looks like the place that it left, or like nothing on the map.
        """
        before = self._beyond.total
        _, left, which = np.intersect1d(
            self._beyond.rows, rows, assume_unique=True, return_indices=True
        )
        self._beyond.mass[left] *= np.maximum(odds[which], 1.0)
        return self._beyond.total - before

    def _scatter(self, share: float, on_map: float) -> None:
        """Reset a share (0-1) of the belief, which is anywhere on the map so probably (0-1)."""
        moved = share * (1.0 - self._off_map)
        off_map = self._off_map + moved
        if off_map > 0.0:
            arriving = self._enter_rate * self._off_map + on_map * moved
            self._enter_rate = arriving / off_map
        self._tracks = self._tracks.scaled(1.0 - share)
        self._beyond = self._beyond.scaled(1.0 - share)
        self._off_map = off_map

    def _chance_beyond(self, reach_m: float, learned_s: float) -> float:
        """Return how probable it is that a step ends beyond what is searched, so anywhere.

        learned_s: time of a step of which nothing but learned motion tells the length; 0 for none.
        """
        if not learned_s:
            return max(0.0, 1.0 - self._longest_m / reach_m)
        learned_m, known = self._motion.reach(learned_s)
        unlearned, learned = (
            chance_of_longer_step(self._longest_m, longest_m, self.spacing_m)
            for longest_m in (reach_m, learned_m + _FREE_REACH * self.spacing_m)
        )
        return unlearned + known * (learned - unlearned) if unlearned else 0.0

    def _keep_heaviest(self, tracks: PlaceTracks) -> IntArray:
        """Keep the places with most belief, the rest counts as off the map; return their order."""
        order = tracks.heaviest(_SUPPORT)
        self._tracks = tracks.select(order)
        self._off_map = max(0.0, 1.0 - self._tracks.total)
        return order
