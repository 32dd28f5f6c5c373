from typing import Any

import numpy as np
import pytest

from progeo_core.localization.place_filter import PlaceFilter, PlaceFilterSettings
from progeo_core.poses.pose_buffer import Travel

LINE = np.array([[x, 0.0, 0.0] for x in range(60)], dtype=float)
ALIKE, UNLIKE = 0.35, 0.0


def similarity(rows, places, alike=ALIKE):
    """Look like the given rows and their neighbours, unlike all others."""
    distance = np.abs(np.asarray(rows)[:, None] - np.atleast_1d(places)).min(axis=1)
    return np.where(distance == 0, alike, np.where(distance == 1, alike / 2, UNLIKE))


def update(place_filter, rows, alike):
    """Weigh the belief by an image that looks so much like the rows."""
    return place_filter.update(rows, alike, 22.0 * (alike - 0.125))


def step(place_filter, places, elapsed_s=None, travel=None, alike=ALIKE):
    carried = place_filter.predict(elapsed_s, travel)
    rows = np.concatenate([carried, np.setdiff1d(np.arange(len(LINE)), carried)])
    return update(place_filter, rows, similarity(rows, places, alike))


def probability_at(belief, row, within=1):
    return belief.probability[np.abs(belief.rows - row) <= within].sum()


def test_belief_sums_to_one_and_comes_heaviest_first():
    place_filter = PlaceFilter(LINE, 1.0)
    for row in range(10, 20):
        belief = step(place_filter, row)
        assert belief.probability.sum() + belief.off_map == pytest.approx(1.0)
        assert (np.diff(belief.probability) <= 0.0).all()
    assert belief.rows[0] == 19


def test_motion_tells_two_look_alike_places_apart():
    # Every image looks exactly like two places, but only one of the two moves evenly.
    place_filter = PlaceFilter(LINE, 1.0)
    elsewhere = [50, 31, 44, 36, 58, 33, 48, 39, 55, 30]
    for row, decoy in zip(range(10), elsewhere, strict=True):
        belief = step(place_filter, [row, decoy])
    assert belief.rows[0] == 9
    assert probability_at(belief, 9) > 0.9


def test_a_drive_of_which_no_image_says_much_is_found_by_how_it_moves():
    # At first belief leaves every place in every direction: a place keeps more than one velocity.
    angle = 2.0 * np.pi * np.arange(40) / 40.0
    ring = 40.0 / (2.0 * np.pi) * np.stack([np.cos(angle), np.sin(angle), 0.0 * angle], axis=1)
    place_filter = PlaceFilter(ring, 1.0)
    for row in range(10):
        carried = place_filter.predict(1.0)
        rows = np.concatenate([carried, np.setdiff1d(np.arange(40), carried)])
        belief = place_filter.update(rows, np.zeros(40), np.where(rows == row, 1.5, 0.0))
    assert belief.rows[0] == 9
    assert belief.probability[0] > 0.9


def test_one_image_that_fits_two_places_leaves_both_open():
    belief = step(PlaceFilter(LINE, 1.0), [10, 50])
    assert probability_at(belief, 10) == pytest.approx(probability_at(belief, 50))


def test_images_that_look_like_nothing_mean_off_the_map():
    place_filter = PlaceFilter(LINE, 1.0)
    for row in range(10):
        step(place_filter, row)
    for _ in range(8):
        belief = step(place_filter, -100)
    assert belief.off_map > 0.8


def test_belief_that_leads_off_the_end_of_the_map_leaves_it():
    place_filter = PlaceFilter(LINE, 1.0)
    for row in range(45, 60):
        belief = step(place_filter, row)
    at_end = belief.off_map
    # The last place is still the most alike, but nothing fits well.
    for _ in range(4):
        belief = step(place_filter, 59, alike=0.12)
    assert at_end < 0.1
    assert belief.off_map > 0.3


def follow(place_filter, rows, at, **motion):
    """Look like one place after the other; at: positions [n, 3]."""
    every = np.arange(len(at))
    for row in rows:
        carried = place_filter.predict(**motion)
        order = np.concatenate([carried, np.setdiff1d(every, carried)])
        offset = np.linalg.norm(at[order] - at[row], axis=1)
        alike = np.where(offset < 0.5, ALIKE, np.where(offset < 1.5, ALIKE / 2, UNLIKE))
        belief = update(place_filter, order, alike)
    return belief


MOTIONS: dict[str, dict[str, Any]] = {
    "no times": {"elapsed_s": None},
    "times": {"elapsed_s": 1.0},
    "odometry": {"elapsed_s": 1.0, "travel": Travel(1.0, 0.0)},
}
driven = pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS)


@driven
def test_what_still_looks_like_the_last_place_is_off_the_map_when_it_drives_on(motion):
    place_filter = PlaceFilter(LINE, 1.0)
    assert follow(place_filter, range(45, 60), LINE, **motion).off_map < 0.1
    for _ in range(3):
        belief = follow(place_filter, [59], LINE, **motion)
    for _ in range(12):
        belief = follow(place_filter, [59], LINE, **motion)
        assert belief.off_map > 0.9
    for _ in range(3):
        belief = place_filter.weigh(belief, np.where(belief.rows == 59, 4.5, -4.5))
    assert belief.off_map > 0.9


@driven
def test_camera_that_turned_beyond_the_end_is_found_when_it_comes_back(motion):
    place_filter = PlaceFilter(LINE, 1.0)
    follow(place_filter, [*range(45, 60), 59, 59, 59, 59, 59], LINE, **motion)
    if "travel" in motion:
        follow(place_filter, [59], LINE, elapsed_s=1.0, travel=Travel(1.0, np.pi))
    belief = follow(place_filter, [59, 59, 58, 57, 56, 55, 54], LINE, **motion)
    assert probability_at(belief, 54) > 0.8


def test_camera_that_stands_at_the_end_stays_there():
    place_filter = PlaceFilter(LINE, 1.0)
    follow(place_filter, range(45, 60), LINE, **MOTIONS["odometry"])
    belief = follow(place_filter, [59] * 10, LINE, elapsed_s=1.0, travel=Travel(0.0, 0.0))
    assert probability_at(belief, 59, within=0) > 0.9


@driven
def test_seam_of_a_loop_and_its_bend_are_no_end(motion):
    angle = 2.0 * np.pi * np.arange(40) / 40
    ring = np.stack([np.cos(angle), np.sin(angle), 0.0 * angle], axis=-1) * 40 / (2.0 * np.pi)
    if "travel" in motion:
        motion = {"elapsed_s": 1.0, "travel": Travel(1.0, 2.0 * np.pi / 40)}
    place_filter = PlaceFilter(ring, 1.0)
    for row in range(30, 60):
        belief = follow(place_filter, [row % 40], ring, **motion)
        assert row < 35 or probability_at(belief, row % 40) > 0.9


@pytest.mark.parametrize("turns", [False, True], ids=["straight on", "round the corner"])
@driven
def test_where_the_map_turns_off_the_drive_may_turn_or_not(motion, turns):
    corner = np.concatenate([LINE[:20], [[19.0, y, 0.0] for y in range(1, 20)]])
    place_filter = PlaceFilter(corner, 1.0)
    follow(place_filter, range(10, 20), corner, **motion)
    if turns:
        first = {**motion, "travel": Travel(1.0, np.pi / 2)} if "travel" in motion else motion
        follow(place_filter, [20], corner, **first)
        belief = follow(place_filter, [21, 22, 23], corner, **motion)
        assert probability_at(belief, 23) > 0.9
    else:
        assert follow(place_filter, [19] * 6, corner, **motion).off_map > 0.9


@driven
def test_gap_in_a_map_is_crossed(motion):
    gap = np.delete(LINE, np.arange(25, 31), axis=0)
    place_filter = PlaceFilter(gap, 1.0)
    follow(place_filter, range(15, 25), gap, **motion)
    assert follow(place_filter, [24, 24, 24, 24], gap, **motion).off_map > 0.9
    belief = follow(place_filter, [24, 24, 25, 26], gap, **motion)
    assert probability_at(belief, 26) > 0.9


@driven
def test_two_drives_alike_are_told_apart_though_every_third_place_is_missing(motion):
    # Where a place is missing, the camera sees what the one before it shows; the decoys jump about.
    gaps = LINE[np.arange(60) % 3 != 2]
    place_filter = PlaceFilter(gaps, 1.0)
    drive = [row for first in range(0, 16, 2) for row in (first, first + 1, first + 1)]
    decoys = [20, 31, 24, 36, 28, 33, 22, 39] * 3
    every = np.arange(len(gaps))
    for row, decoy in zip(drive, decoys, strict=True):
        carried = place_filter.predict(**motion)
        rows = np.concatenate([carried, np.setdiff1d(every, carried)])
        belief = update(place_filter, rows, similarity(rows, [row, decoy]))
    assert probability_at(belief, drive[-1]) > 0.9


def test_filter_over_a_grown_map_knows_that_the_camera_is_beyond_the_old_end():
    before, after = PlaceFilter(LINE, 1.0), PlaceFilter(LINE[::-1].copy(), 1.0)
    follow(before, [*range(45, 60), 59, 59, 59, 59], LINE, elapsed_s=1.0)
    after.continue_from(before)
    assert follow(after, [0], LINE[::-1].copy(), elapsed_s=1.0).off_map > 0.9


def test_carried_off_camera_is_found_again():
    place_filter = PlaceFilter(LINE, 1.0)
    for row in range(10):
        step(place_filter, row)
    for row in range(40, 46):
        belief = step(place_filter, row)
    assert belief.rows[0] == 45
    assert probability_at(belief, 45) > 0.8


def test_doubt_lets_it_be_found_sooner():
    found = []
    for doubt in (0.0, 0.5):
        place_filter = PlaceFilter(LINE, 1.0)
        for row in range(10):
            step(place_filter, row)
        place_filter.doubt(doubt)
        for row in range(40, 43):
            belief = step(place_filter, row)
        found.append(probability_at(belief, 42))
    assert found[1] > found[0]


def test_odometry_sets_the_length_of_the_step():
    place_filter = PlaceFilter(LINE, 1.0)
    for row in range(10, 20):
        step(place_filter, row, 1.0, Travel(1.0, 0.0))
    belief = step(place_filter, 24, 1.0, Travel(5.0, 0.0))
    assert belief.rows[0] == 24
    assert probability_at(belief, 24) > 0.8


def test_turned_odometry_turns_the_expected_step():
    corner = np.concatenate([LINE[:20], [[19.0, y, 0.0] for y in range(1, 20)]])
    ahead = []
    rows = np.arange(len(corner))
    for turn in (0.0, np.pi / 2):
        place_filter = PlaceFilter(corner, 1.0)
        for row in range(10, 20):
            carried = place_filter.predict(1.0, Travel(1.0, 0.0))
            order = np.concatenate([carried, np.setdiff1d(rows, carried)])
            update(place_filter, order, similarity(order, row))
        carried = place_filter.predict(1.0, Travel(1.0, turn))
        order = np.concatenate([carried, np.setdiff1d(rows, carried)])
        belief = update(place_filter, order, np.full(len(order), UNLIKE))
        ahead.append(belief.probability[belief.rows == 20].sum())
    straight, turned = ahead
    assert turned > 2.0 * straight


def test_long_silence_starts_anew_where_the_camera_could_be_anywhere():
    place_filter = PlaceFilter(LINE, 1.0, PlaceFilterSettings(max_speed_mps=2.0))
    for row in range(10):
        step(place_filter, row, 1.0)
    assert len(place_filter.predict(60.0)) == 0
    assert step(place_filter, 40, 60.0).rows[0] == 40


def test_frames_apart_in_a_dense_map_are_followed_though_the_fastest_robot_could_be_anywhere():
    # Every image looks like two places, of which one moves on by a spacing a second.
    place_filter = PlaceFilter(LINE, 1.0, PlaceFilterSettings(max_speed_mps=100.0))
    elsewhere = [50, 31, 44, 36, 58, 33, 48, 39, 55, 30]
    for row, decoy in zip(range(10), elsewhere, strict=True):
        belief = step(place_filter, [row, decoy], 1.0)
    assert probability_at(belief, 9) > 0.8


def test_second_camera_at_the_same_time_adds_evidence_without_motion():
    place_filter = PlaceFilter(LINE, 1.0)
    first = step(place_filter, 30, 0.0)
    second = step(place_filter, 30, 0.0)
    assert probability_at(second, 30) > probability_at(first, 30)


def test_one_place_and_one_spot_do_no_harm():
    for position in (np.zeros((1, 3)), np.zeros((5, 3))):
        place_filter = PlaceFilter(position, 0.0)
        for _ in range(3):
            carried = place_filter.predict(0.1)
            rows = np.concatenate([carried, np.setdiff1d(np.arange(len(position)), carried)])
            belief = update(place_filter, rows, np.full(len(rows), 0.4))
        assert np.isfinite(belief.probability).all()
        assert belief.probability.sum() + belief.off_map == pytest.approx(1.0)


def test_reset_forgets():
    place_filter = PlaceFilter(LINE, 1.0)
    for row in range(10):
        step(place_filter, row)
    place_filter.reset()
    fresh = step(PlaceFilter(LINE, 1.0), 40)
    again = step(place_filter, 40)
    np.testing.assert_array_equal(again.probability, fresh.probability)


def test_likeness_beyond_the_limit_still_tells_places_apart():
    place_filter = PlaceFilter(LINE, 1.0)
    rows = place_filter.predict(None)
    rows = np.concatenate([rows, np.arange(len(LINE))])
    alike = np.where(rows == 10, 0.9, np.where(rows == 50, 0.6, UNLIKE))
    belief = update(place_filter, rows, alike)
    assert probability_at(belief, 10, within=0) > 100.0 * probability_at(belief, 50, within=0)


@pytest.mark.parametrize(
    ("elapsed_s", "travel", "is_doubted"),
    [(None, None, True), (1.0, None, False), (None, Travel(0.0, 0.0), False)],
)
def test_without_times_a_view_that_changes_while_the_place_does_not_is_doubted(
    elapsed_s, travel, is_doubted
):
    # A little more like one place than like nothing, image after image.
    place_filter = PlaceFilter(LINE, 1.0)
    for _ in range(15):
        carried = place_filter.predict(elapsed_s, travel, 1.0)
        rows = np.concatenate([carried, np.setdiff1d(np.arange(len(LINE)), carried)])
        belief = place_filter.update(rows, UNLIKE * rows, np.where(rows == 30, 0.8, -2.0))
    assert (probability_at(belief, 30) < 0.5) == is_doubted
