"""A calibrated camera makes the loop closures of the real node finer."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from progeo_core.geo import wrap_angle
from progeo_core.poses.planar_pose import between
from progeo_core.records.records import read_records
from progeo_ros.conversions import stamp_to_ns
from progeo_ros.outputs.loop_messages import keyframe_stamp
from progeo_ros.process.localizer_process import LocalizerProcess
from test.drifting_drive import LAP
from test.progeo_ros.test_mapping_over_dds import NODE, Robot, mapping_parameters

pytestmark = pytest.mark.slow  # every test waits for a process that loads a network

# The even images of a lap, then the odd ones: what both laps share begins at 0.
FIRST, SECOND = np.arange(0, LAP, 2), np.arange(1, LAP // 2, 2)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("robot") / "campus.progeo"


@pytest.fixture(scope="module")
def process(dds_domain, path: Path) -> Iterator[LocalizerProcess]:
    del dds_domain
    parameters = {**mapping_parameters(path), "keyframes.distance_m": 2.0}
    with LocalizerProcess(parameters) as started:
        yield started


def test_closures_of_a_calibrated_camera_know_the_turn(
    peer, process: LocalizerProcess, path: Path, campus_loop: Path
) -> None:
    closures = peer.collect(Odometry, f"{NODE}/loop_closure")
    process.activate(peer.node, peer.executor)
    robot = Robot(peer, path)
    calibration = peer.node.create_publisher(
        CameraInfo, "/front/camera_info", qos_profile_sensor_data
    )
    peer.wait_for(calibration.get_subscription_count, "the node's calibration")
    k = [320.0, 0.0, 213.0, 0.0, 320.0, 120.0, 0.0, 0.0, 1.0]
    info = CameraInfo(width=426, height=240, k=k)
    records = read_records(campus_loop / "records.csv")
    poses = np.column_stack([records.position[:, :2], records.yaw_rad])
    row_of: dict[int, int] = {}
    for row in (*FIRST, *SECOND):
        calibration.publish(info)  # beside every image, as drivers do
        robot.map_here(records.images[row], *poses[row])
        row_of[robot.stamp_ns] = int(row)

    peer.wait_for(lambda: len(closures) >= len(SECOND) // 2, "loop closures")
    error, sigma = [], []
    for message in closures:
        query = row_of[stamp_to_ns(message.header.stamp)]
        match = row_of[keyframe_stamp(message.header.frame_id)]
        said = message.pose.pose.orientation
        turn = 2.0 * np.arctan2(said.z, said.w)
        error.append(abs(wrap_angle(turn - between(poses[match], poses[query])[2])))
        sigma.append(np.sqrt(message.pose.covariance[35]))
    finer = np.array(sigma) < 0.1
    assert np.mean(finer) > 0.5
    assert np.median(np.array(error)[finer]) < 0.03
    # Nothing says where the camera is on the robot, so none of them is metric.
    assert process.output().count("loop closures no metric pose; set camera_extrinsics") == 1
