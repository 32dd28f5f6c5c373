"""A map that the node made live, with depth, answers with the robot's pose in centimetres."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool

from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import Records, read_records
from progeo_ros.conversions import stamp_from_ns
from progeo_ros.process.localizer_process import LocalizerProcess
from test.office_robot import TILTED, depth_message, image_message
from test.progeo_ros.test_metric_over_dds import (
    FRONT,
    NODE,
    Robot,
    assert_pose_of_base,
    is_metric,
)

pytestmark = pytest.mark.slow  # every test waits for a process that loads a network

START_NS = 1_600_000_000_000_000_000
# Of the 18 places of the office, the last 14 are a walk whose images overlap.
DEPTH, ALONE, BETWEEN_OTHERS = "/front/depth", 3, 9


class Mapper:
    """A robot that SLAM places, with a camera and its depth."""

    def __init__(self, peer: Any, robot: Robot, health: Any, office: Path) -> None:
        self._peer, self._robot, self._health = peer, robot, health
        self.records: Records = read_records(office / "map.csv")
        self._reference = peer.node.create_publisher(PoseStamped, "/pose_reference", 10)
        self._depth = peer.node.create_publisher(Image, DEPTH, 10)
        peer.wait_for(self._reference.get_subscription_count, "the reference")
        peer.wait_for(self._depth.get_subscription_count, "the depth")
        self._sent = 0
        peer.wait_for(lambda: self._is_calibrated(office), "the calibration")

    def saved(self, what: str = "saved") -> int:
        return int(self._health.values("drive").get(what, 0))

    def map(self, row: int, *, spoiled: bool = False) -> None:
        """Send pose, depth and image of a place until it is a keyframe."""
        before = self.saved()

        def is_saved() -> bool:
            self._send(row, spoiled=spoiled)
            for _ in range(40):
                self._peer.executor.spin_once(timeout_sec=0.05)
                if self.saved() > before:
                    return True
            return False

        self._peer.wait_for(is_saved, f"keyframe {row}")

    def _is_calibrated(self, office: Path) -> bool:
        """Send an image that has no pose; return whether one has met its calibration."""
        self._sent += 1
        image = read_records(office / "query.csv").images[0]
        stamp_ns = START_NS + 2_000_000_000 * self._sent
        self._robot.publish(FRONT, image_message(image, stamp_ns, "front_optical"))
        for _ in range(20):
            self._peer.executor.spin_once(timeout_sec=0.05)
        counts = self._health.values(f"camera {FRONT}")
        return int(counts.get("answered", 0)) > int(counts.get("uncalibrated", 0))

    def _send(self, row: int, *, spoiled: bool) -> None:
        self._sent += 1
        stamp_ns = START_NS + 2_000_000_000 * self._sent
        position, turn = TILTED.base(self.records, row)
        pose = PoseStamped()
        pose.header.stamp = stamp_from_ns(stamp_ns)
        point, said = pose.pose.position, pose.pose.orientation
        point.x, point.y, point.z = position
        said.x, said.y, said.z, said.w = turn.as_quat()
        self._reference.publish(pose)
        file = self.records.depth[row]
        assert file is not None
        depth = depth_message(file, stamp_ns)
        depth.encoding = "mono8" if spoiled else depth.encoding
        self._depth.publish(depth)
        image = image_message(self.records.images[row], stamp_ns, "front_optical")
        self._robot.publish(FRONT, image)


@pytest.fixture(scope="module")
def health(peer):
    return peer.watch()


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("robot") / "office.progeo"


@pytest.fixture(scope="module")
def robot(peer, office: Path, path: Path, small_model: Path) -> Iterator[Robot]:
    parameters = {
        "map": path,
        "model": small_model,
        "device": "cpu",
        "runtime": "torch",
        "cameras": [FRONT],
        "image_reliability": "reliable",
        "camera_extrinsics": [TILTED.text],
        "depth_topics": [DEPTH],
        "mapping": True,
        "mapping_reference": "pose",
        "keyframes.distance_m": 0.05,
    }
    with LocalizerProcess(parameters) as process:
        yield Robot(peer, office, process, (FRONT,))


def test_keyframes_with_depth_answer_with_metric_poses(
    peer, robot: Robot, health, office: Path, path: Path
) -> None:
    robot.calibrate(FRONT)
    mapper = Mapper(peer, robot, health, office)
    count = len(mapper.records)
    for row in range(count):
        mapper.map(row, spoiled=row in {ALONE, BETWEEN_OTHERS})
    peer.wait_for(lambda: mapper.saved("with_features") == count, "all features")
    # Without its depth, the one is triangulated with its neighbours.
    peer.wait_for(lambda: mapper.saved("with_landmarks") == count - 1, "all landmarks")
    assert mapper.saved("depth_dropped") == 2
    assert mapper.saved("landmarks_refused") == 0
    assert "encoding 'mono8' is not depth" in health.status("drive").message
    response = peer.call(SetBool, f"{NODE}/set_mapping", SetBool.Request(data=False))
    assert f"{count} places, in use from now on" in response.message

    queries = read_records(office / "query.csv")
    robot.ask_until(FRONT, queries.images[0], is_metric)
    for row, image in enumerate(queries.images):
        assert_pose_of_base(robot.ask(FRONT, image), queries, row)
    with PlaceMap.open(path) as place_map:
        place_map.verify()
        assert place_map.structure.source == "depth; triangulated between known poses"
