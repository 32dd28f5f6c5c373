import dataclasses
import re

import cv2
import numpy as np
import pytest

from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.codec import read_image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.camera_pose import rotation_of
from progeo_core.records.records import read_records
from progeo_core.verification.metric_localizer import MetricLocalizer, MetricPose
from progeo_core.verification.place_feature_cache import PlaceFeatureCache


@pytest.fixture(scope="module")
def place_map(office_map):
    with PlaceMap.open(office_map) as opened:
        yield opened


TOO_FEW = "too few landmarks of the map fit one"
# What landmarks between poses that err by 2 cm and 0.5° share.
ROUGH = 0.4 * np.repeat([0.02, np.radians(0.5)], 3)


@pytest.fixture(scope="module")
def features(place_map):
    return PlaceFeatureCache(place_map, FeatureExtractor("cpu"))


@pytest.fixture(scope="module")
def localize(place_map, features):
    localizer = MetricLocalizer(place_map.poses(), features)
    return lambda image, camera, rows: localizer.localize(features.query(image, camera), rows)


@pytest.fixture(scope="module")
def intrinsics(office):
    return read_calibration(office / "camera_info.yaml")


def rows_by_distance(place_map, position):
    return np.argsort(np.linalg.norm(place_map.poses().position - position, axis=1))


@pytest.mark.parametrize("row", range(4))
def test_a_map_by_a_robot_that_looks_to_its_side(
    office, place_map, features, localize, intrinsics, row
):
    queries = read_records(office / "query.csv")
    image = read_image(queries.images[row])
    rows = rows_by_distance(place_map, queries.position[row])
    poses = place_map.poses()
    robot = poses._replace(yaw_rad=poses.yaw_rad - np.pi / 2.0)
    found = MetricLocalizer(robot, features).localize(features.query(image, intrinsics), rows)
    assert found.places == localize(image, intrinsics, rows).places


@pytest.mark.parametrize("row", range(4))
def test_centimetres_and_a_degree_on_another_visit(office, place_map, localize, intrinsics, row):
    queries = read_records(office / "query.csv")
    rows = rows_by_distance(place_map, queries.position[row])
    found = localize(read_image(queries.images[row]), intrinsics, rows)
    assert isinstance(found, MetricPose)
    assert np.linalg.norm(found.pose.position - queries.position[row]) < 0.10
    turn = found.pose.rotation.T @ rotation_of(queries.orientation[row])
    assert np.degrees(np.arccos((np.trace(turn) - 1.0) / 2.0)) < 2.0
    assert np.sqrt(np.trace(found.covariance[:3, :3])) < 0.3
    assert found.landmarks >= 40
    assert found.best.place_id in found.places
    assert len(found.best.query) == len(found.best.place) > 10
    both = np.concatenate([found.best.query, found.best.place], axis=1)
    assert len(np.unique(both, axis=0)) == len(both)
    assert ((both >= 0.0) & (both <= 1.0)).all()


def test_the_right_places_may_come_after_wrong_ones(office, place_map, localize, intrinsics):
    queries = read_records(office / "query.csv")
    image = read_image(queries.images[1])
    nearest = rows_by_distance(place_map, queries.position[1])
    found = localize(image, intrinsics, np.concatenate([nearest[-3:], nearest[:-3]]))
    assert np.linalg.norm(found.pose.position - queries.position[1]) < 0.10
    assert localize(image, intrinsics, nearest[-3:]).reason == TOO_FEW


@pytest.mark.parametrize("row", range(4))
def test_a_camera_with_half_the_focal_length(office, place_map, localize, intrinsics, row):
    queries = read_records(office / "query.csv")
    image = cv2.resize(read_image(queries.images[row]), (270, 180), interpolation=cv2.INTER_AREA)[
        10:170, 15:255
    ]
    wide = Intrinsics(
        240,
        160,
        0.5 * intrinsics.focal_x,
        0.5 * intrinsics.focal_y,
        0.5 * (intrinsics.center_x + 0.5) - 0.5 - 15.0,
        0.5 * (intrinsics.center_y + 0.5) - 0.5 - 10.0,
    )
    found = localize(image, wide, rows_by_distance(place_map, queries.position[row]))
    assert isinstance(found, MetricPose)
    assert np.linalg.norm(found.pose.position - queries.position[row]) < 0.15


def test_a_camera_with_a_wider_lens(office, place_map, localize, intrinsics):
    queries = read_records(office / "query.csv")
    image = read_image(queries.images[1])
    # As a lens of three quarters of the focal length would see it, with a border.
    small = np.zeros_like(image)
    small[45:315, 67:472] = cv2.resize(image, (405, 270), interpolation=cv2.INTER_AREA)
    wide = Intrinsics(
        540,
        360,
        0.75 * intrinsics.focal_x,
        0.75 * intrinsics.focal_y,
        0.75 * (intrinsics.center_x + 0.5) - 0.5 + 67.0,
        0.75 * (intrinsics.center_y + 0.5) - 0.5 + 45.0,
    )
    found = localize(small, wide, rows_by_distance(place_map, queries.position[1]))
    assert isinstance(found, MetricPose)
    assert np.linalg.norm(found.pose.position - queries.position[1]) < 0.15


@pytest.fixture(scope="module")
def fisheye_query(office, intrinsics):
    """Return a query as a fisheye of 0.6 of its focal length would see it, and its calibration."""
    image = read_image(read_records(office / "query.csv").images[1])
    fisheye = Intrinsics(
        310, 207, 300.0, 300.0, 155.0, 103.5, distortion=(0.05, -0.02, 0.01, 0.0), model="fisheye"
    )
    pixels = np.stack(np.meshgrid(np.arange(310.0), np.arange(207.0)), -1).reshape(-1, 2)
    rays = fisheye.normalized(pixels).reshape(207, 310, 2)
    seen = rays * [intrinsics.focal_x, intrinsics.focal_y]
    seen += [intrinsics.center_x, intrinsics.center_y]
    x, y = seen.astype(np.float32).transpose(2, 0, 1)
    return cv2.remap(image, x, y, cv2.INTER_AREA), fisheye


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_a_fisheye_against_a_map_of_a_pinhole(office, place_map, features, fisheye_query, scale):
    queries = read_records(office / "query.csv")
    image, fisheye = fisheye_query
    stated = dataclasses.replace(fisheye, focal_x=scale * 300.0, focal_y=scale * 300.0)
    rows = rows_by_distance(place_map, queries.position[1])
    localizer = MetricLocalizer(place_map.poses(), features)
    found = localizer.localize(features.query(image, stated), rows)
    if scale == 1.0:
        assert isinstance(found, MetricPose)
        assert np.linalg.norm(found.pose.position - queries.position[1]) < 0.15
    else:
        assert "landmarks fit a focal length of" in found.reason


@pytest.mark.parametrize("row", [2, 3])
def test_another_camera_with_the_calibration_of_the_map_has_no_pose(
    office, place_map, features, intrinsics, row
):
    queries = read_records(office / "query.csv")
    image = read_image(queries.images[row])
    # As a lens of 1.3 times the focal length sees the middle of it.
    zoom = np.array([[1.3, 0.0, -0.3 * 270.0], [0.0, 1.3, -0.3 * 180.0]])
    zoomed = cv2.warpAffine(image, zoom, (540, 360), flags=cv2.INTER_CUBIC)
    localizer = MetricLocalizer(place_map.poses(), features)
    rows = rows_by_distance(place_map, queries.position[row])
    found = localizer.localize(features.query(zoomed, intrinsics), rows)
    assert "an open focal length leaves its position uncertain by 0." in found.reason


def test_another_room_has_no_pose(corridor, place_map, localize, intrinsics):
    rows = np.arange(len(place_map))
    wide = Intrinsics(160, 120, 150.0, 150.0, 80.0, 60.0)
    for path in sorted(corridor.rglob("*.jpg"))[:6]:
        assert localize(read_image(path), wide, rows).reason == TOO_FEW


def test_a_calibration_of_other_images_has_no_pose(office, localize, intrinsics):
    image = read_image(office / "images" / "0355.jpg")
    found = localize(image[:, :300], intrinsics, np.arange(5))
    assert "is for images of 540x360 pixels and does not fit one of 300x360" in found.reason


def test_a_black_image_has_no_pose(localize, intrinsics):
    black = np.zeros((360, 540, 3), np.uint8)
    assert localize(black, intrinsics, np.arange(5)).reason == TOO_FEW


@pytest.mark.parametrize(
    ("errors", "more"), [((0.0, 0.0), np.zeros(6)), ((0.02, np.radians(0.5)), ROUGH)]
)
def test_poses_by_triangulated_landmarks_are_stated_less_certain(
    office, office_copy, localize, intrinsics, errors, more
):
    queries = read_records(office / "query.csv")
    image = read_image(queries.images[1])
    with PlaceMap.open(office_copy, writable=True) as place_map:
        place_map.add_structure(
            place_map.structure._replace(
                source="triangulated between known poses", pose_errors=errors
            )
        )
        rows = rows_by_distance(place_map, queries.position[1])
        cache = PlaceFeatureCache(place_map, FeatureExtractor("cpu"))
        assert cache.triangulated
        found = MetricLocalizer(place_map.poses(), cache).localize(
            cache.query(image, intrinsics), rows
        )
    by_depth = localize(image, intrinsics, rows)
    expected = 2.25 * by_depth.covariance + np.diag(more**2)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.7, 1.3])
def test_a_calibration_of_another_focal_length_is_refused(
    office, place_map, localize, intrinsics, scale
):
    queries = read_records(office / "query.csv")
    wrong = dataclasses.replace(
        intrinsics, focal_x=scale * intrinsics.focal_x, focal_y=scale * intrinsics.focal_y
    )
    rows = rows_by_distance(place_map, queries.position[0])
    found = localize(read_image(queries.images[0]), wrong, rows)
    assert "landmarks fit a focal length of" in found.reason


def test_an_image_of_two_places_at_once_has_no_pose(office, localize, intrinsics):
    image = read_image(office / "images" / "0256.jpg").copy()
    # The left half is of a place 8 m away.
    image[:, :270] = read_image(office / "images" / "0000.jpg")[:, :270]
    found = localize(image, intrinsics, np.array([0, 11, *range(4, 11)]))
    assert re.search(r"fit a pose [78]\.\d m from another one that as many fit", found.reason)
