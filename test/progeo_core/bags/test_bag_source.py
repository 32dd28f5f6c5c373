"""Images of a bag with the positions that its poses give them."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from progeo_core.bags.bag_source import source_of_bag
from progeo_core.bags.writer import (
    CAMERA_POSE_TOPIC,
    DEPTH_TOPIC,
    IMAGE_TOPIC,
    POSE_TOPIC,
    write_bag,
)
from progeo_core.errors import DataError, ImageError
from progeo_core.images.codec import read_image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.poses.camera_pose import yaw_of
from progeo_core.records.records import Records, read_records


@pytest.fixture
def records(corridor: Path) -> Records:
    return read_records(corridor / "query.csv").select(np.arange(20, 26))


@pytest.fixture
def bag(tmp_path: Path, records: Records) -> Path:
    write_bag(tmp_path / "bag", records)
    return tmp_path / "bag"


def test_records_and_images_come_in_one_order(bag: Path, records: Records) -> None:
    source = source_of_bag(bag, IMAGE_TOPIC, POSE_TOPIC)
    np.testing.assert_allclose(source.records.position, records.position)
    for image, path in zip(source.images(), records.images, strict=True):
        assert not isinstance(image, ImageError)
        np.testing.assert_array_equal(image, read_image(path))


def test_chosen_rows_are_those_of_the_topic(bag: Path, records: Records) -> None:
    rows = np.array([1, 4])
    source = source_of_bag(bag, IMAGE_TOPIC, POSE_TOPIC).select(rows)
    np.testing.assert_allclose(source.records.position, records.position[rows])
    chosen = list(source.images())
    assert len(chosen) == 2
    np.testing.assert_array_equal(chosen[1], read_image(records.images[4]))


def test_images_without_a_pose_are_named_and_the_gap_may_be_wider(
    tmp_path: Path, records: Records
) -> None:
    sparse = records.select(np.arange(6))
    sparse.stamp_ns[:] = (1_700_000_000 + 3 * np.arange(6)) * 10**9
    sparse.position[[1, 2, 4]] = np.nan
    write_bag(tmp_path / "sparse", sparse)
    source = source_of_bag(tmp_path / "sparse", IMAGE_TOPIC, POSE_TOPIC)
    assert len(source.records) == 3
    assert len(source.unplaced) == 3
    assert "within 1 s on either side" in source.unplaced[0]
    assert len(list(source.images())) == 3
    wide = source_of_bag(tmp_path / "sparse", IMAGE_TOPIC, POSE_TOPIC, max_pose_gap_s=10.0)
    assert (len(wide.records), wide.unplaced) == (6, ())


CALIBRATION = Intrinsics(426, 240, 300.0, 300.0, 213.0, 120.0, (-0.1, 0.0, 0.0, 0.0, 0.0))
# Level cameras, one that looks along x and one along y.
TURNS = np.array([[0.5, -0.5, 0.5, -0.5], [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]])


@pytest.fixture
def full_bag(tmp_path: Path, records: Records) -> Path:
    """Make a bag of six images with calibration, orientation, and depth of all but the third."""
    for row in range(6):
        cv2.imwrite(str(tmp_path / f"{row}.png"), np.full((4, 6), 1000 * (row + 1), np.uint16))
    depth = tuple(None if row == 2 else tmp_path / f"{row}.png" for row in range(6))
    full = dataclasses.replace(records, orientation=TURNS[[0, 0, 0, 1, 1, 1]], depth=depth)
    write_bag(tmp_path / "full", full, calibration=CALIBRATION)
    return tmp_path / "full"


def test_depth_calibration_and_camera_poses_come_beside_the_images(full_bag: Path) -> None:
    source = source_of_bag(
        full_bag, IMAGE_TOPIC, CAMERA_POSE_TOPIC, depth_topic=DEPTH_TOPIC, camera_pose=True
    )
    assert source.intrinsics == {"front": CALIBRATION}
    np.testing.assert_allclose(source.records.orientation[[0, 5]], TURNS)
    np.testing.assert_allclose(source.records.yaw_rad[[0, 5]], [0.0, np.pi / 2], atol=1e-9)
    depths = list(source.select(np.array([1, 2, 5])).depths())
    assert [None if one is None else float(one[0, 0]) for one in depths] == [2.0, None, 6.0]
    chosen = source.select(np.array([2, 5])).select(np.array([1]))
    (depth,) = chosen.depths()
    assert depth is not None
    assert depth.shape == (4, 6)
    np.testing.assert_array_equal(depth, 6.0)


def test_a_calibration_that_is_given_comes_first(full_bag: Path) -> None:
    given = dataclasses.replace(CALIBRATION, focal_x=310.0)
    source = source_of_bag(full_bag, IMAGE_TOPIC, POSE_TOPIC, calibration=given)
    assert source.intrinsics == {"front": given}
    assert list(source.depths()) == [None] * 6


def test_poses_of_the_base_say_nothing_of_the_camera(full_bag: Path, bag: Path) -> None:
    source = source_of_bag(full_bag, IMAGE_TOPIC, POSE_TOPIC)
    assert np.isnan(source.records.orientation).all()
    assert source_of_bag(bag, IMAGE_TOPIC, POSE_TOPIC).intrinsics == {}


def test_orientation_is_interpolated_to_the_images(tmp_path: Path, records: Records) -> None:
    # Poses without images between two images, so that the camera turns from x to y between them.
    two = dataclasses.replace(records.select(np.array([0, 1, 2])), orientation=TURNS[[0, 0, 1]])
    two.stamp_ns[:] = 1_700_000_000_000_000_000 + np.array([0, 500_000_000, 1_000_000_000])
    two.orientation[1] = np.nan
    write_bag(tmp_path / "turn", two)
    source = source_of_bag(tmp_path / "turn", IMAGE_TOPIC, CAMERA_POSE_TOPIC, camera_pose=True)
    np.testing.assert_allclose(yaw_of(source.records.orientation[1]), np.pi / 4)


def test_poses_without_orientation_are_not_those_of_a_camera(
    tmp_path: Path, records: Records
) -> None:
    unknown = dataclasses.replace(records, yaw_rad=np.full(len(records), np.nan))
    write_bag(tmp_path / "bag", unknown)
    with pytest.raises(DataError, match=r"have no orientation, .* leave --camera-poses out"):
        source_of_bag(tmp_path / "bag", IMAGE_TOPIC, POSE_TOPIC, camera_pose=True)
