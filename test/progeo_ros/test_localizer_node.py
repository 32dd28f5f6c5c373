"""The node in this process: transitions and faults, without spinning."""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Odometry
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import UsageError
from progeo_core.inference.loading import load_encoder
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records
from progeo_ros.conversions import stamp_from_ns
from progeo_ros.localizer_node import LocalizerNode

pytestmark = pytest.mark.slow  # every test starts the whole node

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class Nodes:
    """Make nodes with parameters, and remember them for the end."""

    def __init__(self) -> None:
        self.made: list[LocalizerNode] = []

    def __call__(self, **parameters: Any) -> LocalizerNode:
        given = [Parameter(name.replace("__", "."), value=v) for name, v in parameters.items()]
        self.made.append(LocalizerNode(parameter_overrides=given))
        return self.made[-1]


@pytest.fixture
def nodes(dds_domain: dict[str, str]) -> Iterator[Nodes]:
    del dds_domain
    created = Nodes()
    yield created
    for node in created.made:
        node.destroy_node()


def start(node: LocalizerNode) -> None:
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS


def state_of(node: LocalizerNode) -> str:
    return node._health(node._pipeline).state


def fault_of(node: LocalizerNode) -> str:
    return node._health(node._pipeline).fault


def test_it_goes_through_its_life_twice(nodes: Nodes, corridor_map: Path) -> None:
    node = nodes(map=str(corridor_map), device="cpu")
    for _ in range(2):
        assert node.trigger_configure() == SUCCESS
        assert node.trigger_activate() == SUCCESS
        assert state_of(node) == "active"
        assert node._health(node._pipeline).places == 20
        assert node.trigger_deactivate() == SUCCESS
        assert node.trigger_cleanup() == SUCCESS
        assert state_of(node) == "unconfigured"
    assert node.trigger_shutdown() == SUCCESS
    assert state_of(node) == "finalized"


def test_shutdown_is_possible_while_active(nodes: Nodes, corridor_map: Path) -> None:
    node = nodes(map=str(corridor_map), device="cpu")
    start(node)
    assert state_of(node) == "active"
    assert node.trigger_shutdown() == SUCCESS
    assert state_of(node) == "finalized"


def test_a_missing_map_can_be_mended(nodes: Nodes, corridor_map: Path, tmp_path: Path) -> None:
    path = tmp_path / "office.progeo"
    node = nodes(map=str(path), device="cpu")
    assert node.trigger_configure() == FAILURE
    assert state_of(node) == "unconfigured"
    assert str(path) in fault_of(node)
    shutil.copy(corridor_map, path)
    assert node.trigger_configure() == SUCCESS
    assert fault_of(node) == ""


def test_a_map_of_another_model_is_refused_with_both_names(nodes: Nodes, tmp_path: Path) -> None:
    path = tmp_path / "other.progeo"
    PlaceMap.create(path, ModelFingerprint("CLIP-RN50+GeM", 1024, "512", "ab" * 32)).close()
    node = nodes(map=str(path), device="cpu", model="mobilenetv2-gem")
    assert node.trigger_configure() == FAILURE
    assert "CLIP-RN50+GeM" in fault_of(node)
    assert "mobilenetv2-gem" in fault_of(node)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"map": ""}, "parameter map is empty"),
        ({"cameras": ["/a", "/a"]}, "names a topic twice"),
        ({"cameras": ["/front cam!"]}, "parameter cameras: '/front cam!': topic name must not"),
        ({"model": "no-such-model"}, "no-such-model"),
    ],
)
def test_what_cannot_be_configured_is_explained(
    nodes: Nodes, corridor_map: Path, parameters: dict[str, Any], complaint: str
) -> None:
    node = nodes(**{"map": str(corridor_map), "device": "cpu", **parameters})
    assert node.trigger_configure() == FAILURE
    assert complaint in fault_of(node)
    assert state_of(node) == "unconfigured"


def test_a_model_of_others_runs_once_its_code_is_trusted(
    nodes: Nodes, corridor: Path, tmp_path: Path
) -> None:
    (tmp_path / "hubconf.py").write_text(
        "import torch\n\ndef make():\n    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 64, 14, 14), torch.nn.Flatten(2),"
        " torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten())\n"
    )
    model, path = f"hub:{tmp_path}:make", tmp_path / "map.progeo"
    records = read_records(corridor / "ref.csv").select(slice(0, 4))
    build_map(path, FileSource(records), load_encoder(model, "cpu", trust_code=True))
    node = nodes(map=str(path), device="cpu", model=model)
    assert node.trigger_configure() == FAILURE
    assert "runs the code of others" in fault_of(node)
    node = nodes(map=str(path), device="cpu", model=model, trust_code=True)
    start(node)
    assert state_of(node) == "active"


def test_a_damaged_map_is_refused(nodes: Nodes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.progeo"
    path.write_bytes(b"SQLite format 3\0" + b"\xa5" * 5000)
    node = nodes(map=str(path), device="cpu")
    assert node.trigger_configure() == FAILURE
    assert "damaged.progeo" in fault_of(node)


def test_two_cameras_are_answered_singly_on_a_map_of_one(nodes: Nodes, corridor_map: Path) -> None:
    node = nodes(map=str(corridor_map), device="cpu", cameras=["/a", "/b"])
    start(node)
    assert node.options.localizer.sequence
    assert not node._pipeline.loaded.localizer.settings.sequence


def test_unknown_parameters_stop_the_node(nodes: Nodes) -> None:
    with pytest.raises(UsageError, match="did you mean map"):
        nodes(mapp="x")


def test_a_sequence_takes_odometry_and_can_be_forgotten(
    nodes: Nodes, peer, corridor_map: Path
) -> None:
    node: Any = nodes(map=str(corridor_map), device="cpu", localizer__sequence=True)
    start(node)
    peer.executor.add_node(node)
    publisher = peer.node.create_publisher(Odometry, "odom", 10)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    good, bad = Odometry(), Odometry()
    good.header.stamp = bad.header.stamp = stamp_from_ns(5_000_000_000)
    bad.pose.pose.position.x = math.nan
    publisher.publish(good)
    publisher.publish(bad)
    peer.wait_for(lambda: node._pipeline.odometry_dropped == 1, "the bad message")
    response = peer.call(Trigger, "/progeo_localizer/relocalize")
    assert (response.success, response.message) == (True, "earlier images are forgotten")
    assert node._pipeline.loaded.localizer.settings.sequence
    peer.executor.remove_node(node)


def test_a_camera_whose_qos_does_not_match_is_named(nodes: Nodes, peer, corridor_map: Path) -> None:
    node = nodes(
        map=str(corridor_map), device="cpu", cameras=["/shy"], image_reliability="reliable"
    )
    start(node)
    peer.executor.add_node(node)
    peer.node.create_publisher(Image, "/shy", qos_profile_sensor_data)
    health = peer.watch()
    peer.wait_for(lambda: "RELIABILITY" in health.status("camera /shy").message, "the mismatch")
    assert health.status("camera /shy").level == DiagnosticStatus.ERROR
    assert "image_reliability to auto" in health.status("camera /shy").message
    peer.executor.remove_node(node)
