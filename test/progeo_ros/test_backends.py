"""The configurations and pages for other packages name what both sides really have."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node

from progeo_ros.outputs.answers import AnswerPublishers
from progeo_ros.parameters import GROUPS, POSE_RELAY_GROUPS, parameter_fields
from progeo_ros.pose_relay_node import PoseRelayNode
from progeo_ros.process.dds_environment import shared_file
from progeo_ros.settings import NodeSettings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = shared_file("config/backends/rtabmap.yaml").parent
CONFIGURATIONS = sorted(FOLDER.glob("*.yaml"))
PAGES = sorted(FOLDER.glob("*.md"))

POSE = "geometry_msgs/msg/PoseWithCovarianceStamped"
ODOMETRY = "nav_msgs/msg/Odometry"
FIX = "sensor_msgs/msg/NavSatFix"
# What the other packages subscribe to, as their sources say: robot_localization's ros_filter.cpp
# and navsat_transform.cpp, rtabmap_slam's CoreWrapper.cpp, amcl_node.cpp, and
# slam_toolbox_localization.cpp.
CONSUMED = {
    r"pose\d": POSE,
    r"odom\d": ODOMETRY,
    "gps/fix": FIX,
    "global_pose": POSE,
    "initialpose": POSE,
}
# The topics of others that are told to the relay.
TRACKED = {"/amcl_pose": POSE, "/pose": POSE}
# Every parameter used here, as declared in the same sources.
KNOWN = {
    "ekf_filter_node_map": (
        "frequency|two_d_mode|map_frame|odom_frame|base_link_frame|world_frame|smooth_lagged_data"
        r"|history_length|initial_estimate_covariance|(odom|pose)\d(_config|_queue_size)?"
    ),
    "navsat_transform": (
        "frequency|wait_for_datum|datum|use_local_cartesian|zero_altitude|publish_filtered_gps"
    ),
    "slam_toolbox": (
        "odom_frame|map_frame|base_frame|scan_topic|map_file_name|map_start_pose"
        "|correlation_search_space_(dimension|resolution)"
    ),
    "amcl": "(global|odom|base)_frame_id|set_initial_pose|always_reset_initial_pose",
    "rtabmap": "frame_id|map_frame_id|Optimizer/PriorsIgnored|Optimizer/Strategy|Reg/Force3DoF",
}
# The state of robot_localization's filters: x, y, z, roll, pitch, yaw, velocities, accelerations.
STATE, SEEN_BY_IMAGES = 15, {0, 1, 5}


def nodes(path: Path) -> dict[str, dict[str, Any]]:
    """Return the parameters of every node in a configuration."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: node["ros__parameters"] for name, node in content.items()}


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of every shell command of a page."""
    for block in re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.split("#")[0].split()


def remappings(words: list[str]) -> dict[str, str]:
    pairs = itertools.pairwise(words)
    found = [item.partition(":=") for flag, item in pairs if flag == "-r"]
    return {name: topic for name, _, topic in found if not name.startswith("__")}


@pytest.fixture(scope="module")
def published(dds_domain) -> dict[str, list[str]]:
    """Return what the localizer and the relay publish, by name."""
    del dds_domain
    localizer = LifecycleNode("progeo_localizer")
    answers, relay = AnswerPublishers(localizer, NodeSettings()), PoseRelayNode()
    topics = {**topics_of(localizer), **topics_of(relay)}
    answers.destroy()
    localizer.destroy_node()
    relay.destroy_node()
    return topics


def topics_of(node: Node) -> dict[str, list[str]]:
    return dict(node.get_publisher_names_and_types_by_node(node.get_name(), "/"))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_every_parameter_is_one_of_the_package(path: Path) -> None:
    for node, parameters in nodes(path).items():
        for name in parameters:
            assert re.fullmatch(KNOWN[node], name), f"{node}: {name}"


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_every_topic_of_ours_has_the_type_that_is_read(path: Path, published) -> None:
    for parameters in nodes(path).values():
        for name, value in parameters.items():
            if str(value).startswith("progeo_"):
                (kind,) = [kind for input_, kind in CONSUMED.items() if re.fullmatch(input_, name)]
                assert published[f"/{value}"] == [kind]


@pytest.mark.parametrize("name", ["robot_localization", "robot_localization_fix"])
def test_filters_take_only_what_images_observe(name: str) -> None:
    parameters = nodes(FOLDER / f"{name}.yaml")["ekf_filter_node_map"]
    # Humble stops at a matrix that is not given in full.
    assert len(parameters["initial_estimate_covariance"]) == STATE**2
    fused: list[int] = []
    for source in ("odom0", "odom1", "pose0"):
        chosen = parameters.get(f"{source}_config", [False] * STATE)
        assert len(chosen) == STATE
        absolute = [axis for axis in range(STATE) if chosen[axis] and source != "odom0"]
        assert set(absolute) <= SEEN_BY_IMAGES
        fused += absolute
    # Each once: a position that came by two ways would count twice.
    assert sorted(fused) == sorted(SEEN_BY_IMAGES)
    assert parameters["world_frame"] == parameters["map_frame"] == "map"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_names_what_there_is(page: Path, published) -> None:
    for words in commands(page):
        if words[:3] == ["ros2", "launch", "progeo_ros"]:
            launch_file = (ROOT / "launch" / words[3]).read_text(encoding="utf-8")
            assert all(f'"{word.split(":=")[0]}"' in launch_file for word in words[4:])
        if words[:3] == ["ros2", "run", "progeo_ros"]:
            assert (ROOT / "resource" / "executables" / words[3]).is_file()
        for name, topic in remappings(words).items():
            if topic.startswith("/progeo_localizer"):
                expected = CONSUMED.get(name, POSE)
                assert published[topic] == [expected], f"{name}:={topic}"
            elif name == "tracked_pose":
                assert TRACKED[topic] == POSE
    text = page.read_text(encoding="utf-8")
    for mentioned in re.findall(r"(\w+\.yaml)`", text):
        assert mentioned == "nav2.yaml" or (FOLDER / mentioned).is_file(), mentioned


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_parameter_of_ours_on_a_page_exists(page: Path) -> None:
    ours = {
        item.name for groups in (GROUPS, POSE_RELAY_GROUPS) for item in parameter_fields(groups)
    }
    for words in commands(page):
        if "progeo_ros" in words and "run" in words:
            given = [item for flag, item in itertools.pairwise(words) if flag == "-p"]
            assert {item.split(":=")[0] for item in given} <= ours


def test_the_relay_has_the_topics_of_the_pages(published) -> None:
    for name in ("/initialpose", "/global_pose"):
        assert published[name] == [CONSUMED[name.strip("/")]]


def test_the_pages_and_the_configurations_belong_together() -> None:
    pages = {page.stem for page in PAGES}
    assert pages == {"robot_localization", "nav2_amcl", "slam_toolbox", "rtabmap"}
    assert {path.stem.removesuffix("_fix") for path in CONFIGURATIONS} == pages
