"""Poses from /tf and /tf_static of a bag, as SLAM and odometry publish them."""

import logging
import math

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from scipy.spatial.transform import Rotation

from progeo_core.bags.bag_source import source_of_bag
from progeo_core.bags.messages import TRANSFORMS, Header, image_message, typestore
from progeo_core.bags.reader import Bag
from progeo_core.bags.transforms import PoseFrames
from progeo_core.errors import DataError, UsageError

S = 10**9
START = 1_700_000_000 * S
AHEAD = (-0.5, 0.5, -0.5, 0.5)  # of optical axes


def transforms(*links):
    """Serialise (seconds, parent, child, x, y, quaternion) as a TFMessage."""
    types = typestore().types
    made = []
    for seconds, parent, child, x, y, turn in links:
        stamp = types["builtin_interfaces/msg/Time"](*divmod(START + round(seconds * S), S))
        header = types["std_msgs/msg/Header"](stamp, parent)
        pose = types["geometry_msgs/msg/Transform"](
            types["geometry_msgs/msg/Vector3"](float(x), float(y), 0.0),
            types["geometry_msgs/msg/Quaternion"](*map(float, turn)),
        )
        made.append(types["geometry_msgs/msg/TransformStamped"](header, child, pose))
    return typestore().serialize_cdr(types[TRANSFORMS](made), TRANSFORMS)


def yaw(angle):
    return 0, 0, math.sin(angle / 2), math.cos(angle / 2)


@pytest.fixture(scope="module")
def slam_bag(tmp_path_factory):
    """Return a bag in which the robot drives 1 m/s north, for 5 s, as map → odom says."""
    path = tmp_path_factory.mktemp("bag") / "slam"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        tf, static, image = (
            writer.add_connection(topic, kind, typestore=typestore())
            for topic, kind in (
                ("/tf", TRANSFORMS),
                ("/tf_static", TRANSFORMS),
                ("/camera/image_raw", "sensor_msgs/msg/Image"),
            )
        )
        mount = (0, "base_link", "camera_optical", 0.2, 0, AHEAD)
        foot = (0, "base_footprint", "/base_link", 0, 0, yaw(0))
        writer.write(static, START, transforms(mount, foot))
        writer.write(tf, START, b"\0\1\0\0\1")  # damaged
        for tenth in range(51):
            now = tenth / 10
            links = [(now, "odom", "base_footprint", now, 0, yaw(0))]
            if tenth % 5 == 0:
                links.append((now, "map", "odom", 3, -1, yaw(math.pi / 2)))
            writer.write(tf, START + tenth * S // 10, transforms(*links))
            if tenth % 10 == 3:
                pixels = np.full((8, 8, 3), tenth, np.uint8)
                header = Header(START + tenth * S // 10, "camera_optical")
                writer.write(image, header.stamp_ns, image_message(header, pixels))
    return path


def test_images_are_placed_by_the_chain_of_transforms(slam_bag, caplog):
    with caplog.at_level(logging.WARNING):
        source = source_of_bag(slam_bag, "/camera/image_raw", "/tf")
    assert "1 messages of '/tf' are damaged" in caplog.text
    seconds = np.array([0.3, 1.3, 2.3, 3.3, 4.3])
    expected = np.stack([np.full(5, 3.0), seconds - 1, np.zeros(5)], 1)
    np.testing.assert_allclose(source.records.position, expected, atol=1e-9)
    np.testing.assert_allclose(source.records.yaw_rad, math.pi / 2)
    other = source_of_bag(
        slam_bag, "/camera/image_raw", "/tf", frames=PoseFrames.from_text("odom, /base_footprint")
    )
    np.testing.assert_allclose(other.records.position[:, 0], seconds)


def test_the_pose_of_the_camera_is_known_by_the_frame_of_its_images(slam_bag):
    source = source_of_bag(slam_bag, "/camera/image_raw", "/tf", camera_pose=True)
    np.testing.assert_allclose(source.records.position[0], [3.0, -0.5, 0.0], atol=1e-9)
    axes = Rotation.from_quat(source.records.orientation).apply([0, 0, 1])
    np.testing.assert_allclose(axes, np.tile([0.0, 1.0, 0.0], (5, 1)), atol=1e-9)


def test_frames_that_nothing_connects_are_named_with_those_there_are(slam_bag):
    with Bag(slam_bag) as bag:
        with pytest.raises(
            DataError, match=r"does not connect 'base' with 'map'.*map → odom.*--tf-f"
        ):
            bag.pose_track("/tf", PoseFrames("map", "base"))
        with pytest.raises(DataError, match="no frame between them moves"):
            bag.pose_track("/tf", PoseFrames("base_link", "camera_optical"))
    with pytest.raises(UsageError, match="write MAP,BASE"):
        PoseFrames.from_text("map")
