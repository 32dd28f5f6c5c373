"""The session of a node in this process: where its keyframes go, and what its reference says."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import NavSatFix

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import UsageError
from progeo_core.images.codec import read_image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.answer import CameraFrame
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.pose_buffer import PoseBuffer
from progeo_core.records.records import Records
from progeo_core.slam.keyframes import KeyframeSettings
from progeo_core.slam.loop_closure import LoopClosureSettings
from progeo_ros.conversions import stamp_from_ns
from progeo_ros.mapping_session import MappingSession, SessionOptions
from progeo_ros.process.guarded_node import GuardedLifecycleNode
from progeo_ros.replay.live_replay import values_of
from progeo_ros.settings import NodeSettings

S = 1_000_000_000
OPTIONS = SessionOptions(KeyframeSettings(), LoopClosureSettings())


@pytest.fixture
def node(peer) -> Iterator[GuardedLifecycleNode]:
    made = GuardedLifecycleNode("mapping_session")
    peer.executor.add_node(made)
    made.trigger_configure()
    made.trigger_activate()
    yield made
    peer.executor.remove_node(made)
    made.destroy_node()


class Drive:
    """A session with a robot that goes one metre per image."""

    def __init__(self, node, settings: NodeSettings, encoder: Encoder, files: list[Path]) -> None:
        self.odometry, self.files, self.second = PoseBuffer(), files, 0
        self.session = MappingSession(node, settings, OPTIONS, encoder, self.odometry)
        self._encoder = encoder

    def go(self, metres: int) -> None:
        for _ in range(metres):
            self.second += 1
            self.odometry.add(self.second * S, [float(self.second), 0.0, 0.0], 0.0)
            self.look()

    def look(self) -> None:
        image = read_image(self.files[self.second % len(self.files)])
        descriptor = self._encoder.encode([image])[0]
        frame = CameraFrame(image, self.second * S, "front")
        self.session.add_image(frame, descriptor, None)

    def value(self, name: str) -> str:
        return values_of(self.session.status())[name]


def test_nothing_is_kept_unless_it_is_asked_for(node, encoder: Encoder, places: Records) -> None:
    drive = Drive(node, NodeSettings(), encoder, list(places.images))
    drive.go(2)
    assert drive.value("keyframes") == "0"
    assert not drive.session.mapping
    with pytest.raises(UsageError, match="nothing is being mapped"):
        drive.session.save()
    with pytest.raises(UsageError, match="parameter map is empty"):
        drive.session.begin("")
    drive.session.destroy()


def test_metric_closures_of_a_calibrated_camera_need_its_mount(node, encoder: Encoder) -> None:
    drive = Drive(node, NodeSettings(close_loops=True), encoder, [])
    bare = CameraFrame(np.zeros((24, 32, 3), np.uint8), S, "front")
    calibrated = bare._replace(intrinsics=Intrinsics(32, 24, 20.0, 20.0, 16.0, 12.0))
    # Without odometry no closure is metric anyway.
    assert not drive.session.needs_mount(calibrated)
    drive.odometry.add(S, [0.0, 0.0, 0.0], 0.0)
    assert drive.session.needs_mount(calibrated)
    assert not drive.session.needs_mount(bare)
    drive.session.destroy()


def test_mapping_begins_ends_and_begins_again_in_one_map(
    node, encoder: Encoder, places: Records, tmp_path: Path
) -> None:
    path = str(tmp_path / "site.progeo")
    drive = Drive(node, NodeSettings(), encoder, list(places.images))
    assert drive.session.begin(path) == f"mapping: {path}"
    assert drive.session.begin(path) == f"mapping already: {path}"
    drive.go(3)
    assert drive.session.save() == f"{path}: 3 places, 3 of this drive"
    written = drive.session.detach()
    assert written is not None
    drive.go(2)
    drive.session.close(written)
    assert not drive.session.mapping
    with PlaceMap.open(path) as place_map:
        assert place_map.places().position[:, 0].tolist() == [1.0, 2.0, 3.0]
    drive.session.begin(path)
    drive.session.destroy()


def test_a_map_waits_for_the_first_fix_and_bad_ones_are_counted(
    peer, node, encoder: Encoder, places: Records, tmp_path: Path
) -> None:
    path = tmp_path / "site.progeo"
    settings = NodeSettings(map=str(path), mapping=True, mapping_reference="fix")
    drive = Drive(node, settings, encoder, list(places.images))
    assert drive.value("awaits") == "the first fix"
    drive.session.start()
    publisher = peer.node.create_publisher(NavSatFix, "fix_reference", 10)
    peer.wait_for(publisher.get_subscription_count, "the subscription")

    def fix(second: int, latitude: float, longitude: float = 11.0, status: int = 0) -> None:
        message = NavSatFix(latitude=latitude, longitude=longitude, altitude=500.0)
        message.header.stamp = stamp_from_ns(second * S)
        message.status.status = status
        publisher.publish(message)

    for latitude, longitude, status in ((91.0, 11.0, 0), (0.0, 0.0, 0), (48.0, 11.0, -2)):
        fix(1, latitude, longitude, status)
    peer.wait_for(lambda: drive.value("reference_dropped") == "3", "the count")
    assert drive.value("awaits") == "the first fix"
    for second in range(1, 4):
        fix(second, 48.0 + second * 2e-5)
    peer.wait_for(lambda: not drive.value("awaits"), "the map")
    peer.wait_for(lambda: drive.session._session.reference.at(3 * S) is not None, "the last fix")
    fix(4, 91.0)
    peer.wait_for(lambda: drive.value("reference_dropped") == "4", "the count")
    for drive.second in (1, 2, 3):
        drive.look()
    assert node.callback_failures.counts().total == 0
    drive.session.stop()
    drive.session.destroy()
    with PlaceMap.open(path) as place_map:
        assert place_map.datum.lat_deg == pytest.approx(48.00002)
        north = place_map.places().position[:, 1]
    np.testing.assert_allclose(np.diff(north), 2.22, atol=0.05)


def test_fixes_need_a_map_with_a_datum(node, encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "local.progeo"
    PlaceMap.create(path, encoder.fingerprint).close()
    settings = NodeSettings(map=str(path), mapping=True, mapping_reference="fix")
    with pytest.raises(UsageError, match="the map has no datum"):
        MappingSession(node, settings, OPTIONS, encoder, PoseBuffer())
