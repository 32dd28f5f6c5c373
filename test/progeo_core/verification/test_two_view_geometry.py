import dataclasses
import math

import cv2
import numpy as np
import pytest

from progeo_core.geo import wrap_angle
from progeo_core.images.codec import read_image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.records.records import read_records
from progeo_core.verification.local_features import LocalFeatures, find_features
from progeo_core.verification.two_view_geometry import two_view_geometry

# The drive's camera is not documented; at this focal length its turns are those of its odometry.
CAMERA = Intrinsics(426, 240, 320.0, 320.0, 213.0, 120.0)


@pytest.fixture(scope="module")
def drive(campus_loop):
    """Return a robot's real drive: poses from its odometry, and the features of its images."""
    records = read_records(campus_loop / "records.csv")
    return records, [find_features(read_image(file)) for file in records.images]


def found_and_true(drive, step):
    """Return turns and bearings of neighbouring images, as found and as driven."""
    records, features = drive
    turns, bearings = [], []
    for place in range(len(features) - step):
        query = place + step
        view = two_view_geometry(features[query], features[place], CAMERA)
        if view is None:
            continue
        way = records.position[query] - records.position[place]
        turn = records.yaw_rad[query] - records.yaw_rad[place]
        bearing = math.atan2(way[1], way[0]) - records.yaw_rad[place]
        turns.append((view.turn_rad, float(wrap_angle(turn))))
        bearings.append((view.bearing_rad, float(wrap_angle(bearing))))
    return np.array(turns), np.array(bearings)


@pytest.mark.slow
def test_turn_between_real_images_is_that_of_the_odometry(drive):
    turns, _ = found_and_true(drive, 1)
    error = np.abs(wrap_angle(turns[:, 0] - turns[:, 1]))
    assert len(turns) > 64
    assert np.median(error) < 0.02
    assert np.quantile(error, 0.9) < 0.06
    # Most of these pairs hardly turn; those that do are what tells left from right.
    turned = np.abs(turns[:, 1]) > 0.1
    assert turned.sum() > 8
    assert (np.sign(turns[turned, 0]) == np.sign(turns[turned, 1])).all()


def test_direction_between_real_images_is_that_of_the_odometry(drive):
    _, bearings = found_and_true(drive, 1)
    error = np.abs(wrap_angle(bearings[:, 0] - bearings[:, 1]))
    assert np.median(error) < 0.05
    assert np.abs(bearings[:, 1]).max() < 1.0  # ahead, not behind


def test_place_ahead_of_the_camera_lies_behind_it_the_other_way_round(drive):
    _, features = drive
    ahead = two_view_geometry(features[21], features[20], CAMERA)
    behind = two_view_geometry(features[20], features[21], CAMERA)
    assert abs(ahead.bearing_rad) < 0.5
    assert abs(behind.bearing_rad) > math.pi - 0.5
    assert ahead.turn_rad == pytest.approx(-behind.turn_rad, abs=0.03)


def test_views_that_do_not_overlap_say_nothing(drive):
    _, features = drive
    said = [two_view_geometry(features[row], features[row + 30], CAMERA) for row in range(0, 40, 4)]
    assert said.count(None) >= 9


@pytest.mark.parametrize(
    "change", [{"focal_x": 0.0}, {"focal_y": math.nan}, {"width": 0}, {"height": 426}]
)
def test_camera_without_calibration_or_of_another_shape_says_nothing(drive, change):
    _, features = drive
    other = dataclasses.replace(CAMERA, **change)
    assert two_view_geometry(features[21], features[20], other) is None


def test_distortion_of_the_lens_is_taken_back(drive):
    # Bend the features of real images as a wide lens would; straightened, they say the same.
    _, features = drive
    lens = dataclasses.replace(CAMERA, distortion=(-0.3, 0.08, 0.0, 0.0, 0.0))
    bent = [bend(features[row], lens) for row in (21, 20)]
    straight = two_view_geometry(features[21], features[20], CAMERA)
    through_lens = two_view_geometry(bent[0], bent[1], lens)
    assert through_lens.turn_rad == pytest.approx(straight.turn_rad, abs=0.02)
    assert through_lens.bearing_rad == pytest.approx(straight.bearing_rad, abs=0.1)


def bend(features, lens):
    matrix = lens.matrix(features.size)
    rays = (
        np.column_stack([features.points, np.ones(len(features.points))]) @ np.linalg.inv(matrix).T
    )
    points, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, np.array(lens.distortion))
    return features._replace(points=points.reshape(-1, 2).astype(np.float32))


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
    seen = [one @ CAMERA.matrix((426, 240)).T for one in (of_query, points)]
    pixels = [(one[:, :2] / one[:, 2:]) + random.normal(0.0, 0.1, (900, 2)) for one in seen]
    seen_by_both = [((one > 0) & (one < (426, 240))).all(axis=1) for one in pixels]
    inside = seen_by_both[0] & seen_by_both[1] & (of_query[:, 2] > 0)
    descriptors = random.normal(size=(int(inside.sum()), 128))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    query, place = (
        LocalFeatures(one[inside].astype(np.float32), descriptors.astype(np.float32), (426, 240))
        for one in pixels
    )
    view = two_view_geometry(query, place, CAMERA)
    assert view is not None
    assert view.turn_rad == pytest.approx(turn, abs=0.01)
