import dataclasses
import math

import numpy as np
import pytest

from progeo_core.geo import wrap_angle
from progeo_core.images.codec import read_image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.records.records import read_records
from progeo_core.verification.place_feature_cache import KnownPlace
from progeo_core.verification.query_view import QueryView
from progeo_core.verification.two_view_geometry import two_view_geometry, view_from

# The drive's camera is not documented; at this focal length its turns are those of its odometry.
CAMERA = Intrinsics(426, 240, 320.0, 320.0, 213.0, 120.0)


@pytest.fixture(scope="module")
def drive(campus_loop):
    """Return a robot's real drive: poses from its odometry, and its images by number."""
    records, extractor = read_records(campus_loop / "records.csv"), FeatureExtractor("cpu")

    def find(image, side):
        return extractor.find([image], side=side)[0]

    views = [QueryView(read_image(file), CAMERA, find) for file in records.images]
    return records, views


def place_of(view, camera=None):
    points, descriptors, size = view.features
    return KnownPlace(points, descriptors, size, np.full((len(points), 3), np.nan), camera)


def found_and_true(drive, step):
    """Return turns and bearings of neighbouring images, as found and as driven."""
    records, views = drive
    turns, bearings = [], []
    for place in range(len(views) - step):
        query = place + step
        view = view_from(views[query], place_of(views[place]))
        if view is None or not view.is_level:
            continue
        way = records.position[query] - records.position[place]
        turn = records.yaw_rad[query] - records.yaw_rad[place]
        bearing = math.atan2(way[1], way[0]) - records.yaw_rad[place]
        turns.append((view.turn_rad, float(wrap_angle(turn))))
        bearings.append((view.bearing_rad, float(wrap_angle(bearing))))
    return np.array(turns), np.array(bearings)


@pytest.mark.slow
def test_turn_and_direction_between_real_images_are_those_of_the_odometry(drive):
    turns, bearings = found_and_true(drive, 1)
    error = np.abs(wrap_angle(turns[:, 0] - turns[:, 1]))
    assert len(turns) > 64
    assert np.median(error) < 0.01
    assert np.quantile(error, 0.9) < 0.04
    # Most of these pairs hardly turn; those that do are what tells left from right.
    turned = np.abs(turns[:, 1]) > 0.1
    assert turned.sum() > 8
    assert (np.sign(turns[turned, 0]) == np.sign(turns[turned, 1])).all()
    error = np.abs(wrap_angle(bearings[:, 0] - bearings[:, 1]))
    assert np.median(error) < 0.04
    assert np.abs(bearings[:, 1]).max() < 1.0  # ahead, not behind


def test_place_ahead_of_the_camera_lies_behind_it_the_other_way_round(drive):
    _, views = drive
    ahead = view_from(views[21], place_of(views[20]))
    behind = view_from(views[20], place_of(views[21]))
    assert abs(ahead.bearing_rad) < 0.5
    assert abs(behind.bearing_rad) > math.pi - 0.5
    assert ahead.turn_rad == pytest.approx(-behind.turn_rad, abs=0.03)


def test_views_that_do_not_overlap_say_nothing(drive):
    _, views = drive
    said = [view_from(views[row], place_of(views[row + 30])) for row in range(0, 40, 4)]
    assert said.count(None) >= 9


@pytest.mark.parametrize("change", [{"height": 426}, {"width": 1000}])
def test_calibration_of_another_shape_says_nothing(drive, change):
    _, views = drive
    other = dataclasses.replace(CAMERA, **change)
    query = QueryView(views[21].image, other, lambda image, side: views[21].features)
    assert view_from(query, place_of(views[20])) is None


def test_each_camera_has_its_own_lens(drive):
    # Bend the features of a real image as a wide lens would; straightened, they say the same.
    _, views = drive
    lens = dataclasses.replace(CAMERA, distortion=(-0.3, 0.08, 0.0, 0.0, 0.0))
    rays = views[20].rays
    bent = lens.pixels(np.column_stack([rays, np.ones(len(rays))]))
    place = dataclasses.replace(place_of(views[20], lens), points=bent.astype(np.float32))
    straight = view_from(views[21], place_of(views[20]))
    through_lens = view_from(views[21], place)
    assert through_lens.turn_rad == pytest.approx(straight.turn_rad, abs=0.02)
    assert through_lens.bearing_rad == pytest.approx(straight.bearing_rad, abs=0.1)


@pytest.mark.parametrize("turn_deg", [-15.0, 8.0, 20.0])
def test_a_camera_that_turned_in_place_before_far_points_tells_its_turn(turn_deg):
    """Points lie 50 to 160 baselines away, as houses do when a robot turns on the spot."""
    random = np.random.default_rng(0)
    points = random.uniform([-40.0, -8.0, 15.0], [40.0, 4.0, 40.0], (900, 3))
    turn = math.radians(turn_deg)
    # Counter-clockwise from above, in axes right, down, forward; 0.3 m to the left.
    axes = np.array(
        [[math.cos(turn), 0, -math.sin(turn)], [0, 1, 0], [math.sin(turn), 0, math.cos(turn)]]
    )
    of_query = (points - [-0.3, 0.0, 0.0]) @ axes
    rays = [
        one[:, :2] / one[:, 2:] + random.normal(0.0, 3e-4, (900, 2)) for one in (of_query, points)
    ]
    view = two_view_geometry(*rays)
    assert view is not None
    assert view.is_level
    assert view.turn_rad == pytest.approx(turn, abs=0.01)
    np.testing.assert_allclose(view.rotation, axes, atol=0.01)


def test_matches_that_show_no_scene_say_nothing():
    random = np.random.default_rng(0)
    few, unknown = random.uniform(size=(2, 20, 2)), np.full((2, 100, 2), np.nan)
    for rays in (few, unknown, np.zeros((2, 100, 2))):
        two_view_geometry(*rays)
    assert two_view_geometry(*few) is None
    assert two_view_geometry(*unknown) is None
