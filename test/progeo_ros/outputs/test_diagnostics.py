import math
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from progeo_core.fleet.robot_fleet import FleetCounts
from progeo_ros.inputs.camera_statistics import CameraStatistics
from progeo_ros.outputs.diagnostics import (
    NodeHealth,
    SessionHealth,
    camera_status,
    fleet_status,
    node_status,
    publish_diagnostics,
    session_status,
)
from progeo_ros.process.guarded_node import FailureCounts

HEALTH = NodeHealth(
    state="active",
    fault="",
    map_path="/maps/office.progeo",
    places=20,
    model="mobilenetv2-gem",
    datum="-27.5,153,12",
    odometry_dropped=0,
    publish_failures=0,
    clock_ns=5,
    failures=FailureCounts(0, "", math.inf),
)
SESSION = SessionHealth(
    mapping=True,
    close_loops=False,
    fault="",
    keyframes=5,
    saved=5,
    lost=0,
    unplaced=0,
    without_pose=0,
    closures=0,
    odometry_restarts=0,
    latency_p50_ms=1.25,
    latency_p95_ms=2.5,
    awaits="",
    reference_dropped=0,
)


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def test_a_healthy_node_shows_map_and_model() -> None:
    status = node_status(HEALTH)
    assert (status.level, status.message) == (DiagnosticStatus.OK, "active")
    assert values_of(status)["map"] == "/maps/office.progeo"
    assert values_of(status)["places"] == "20"


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"fault": "/x.progeo: there is no map"}, DiagnosticStatus.ERROR, "there is no map"),
        ({"clock_ns": 0}, DiagnosticStatus.WARN, "/clock"),
        (
            {"failures": FailureCounts(3, "KeyError", 1.0)},
            DiagnosticStatus.WARN,
            "failed",
        ),
        ({"failures": FailureCounts(3, "KeyError", 60.0)}, DiagnosticStatus.OK, "active"),
    ],
)
def test_a_node_in_trouble_says_why(change: dict[str, Any], level: bytes, words: str) -> None:
    status = node_status(HEALTH._replace(**change))
    assert status.level == level
    assert words in status.message


def test_failed_callbacks_are_counted() -> None:
    status = node_status(HEALTH._replace(failures=FailureCounts(3, "on_image: KeyError", 60.0)))
    assert values_of(status)["callback_failures"] == "3"
    assert values_of(status)["last_callback_failure"] == "on_image: KeyError"


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({}, DiagnosticStatus.OK, "5 keyframes, 0 loop closures"),
        ({"mapping": False}, DiagnosticStatus.OK, "neither mapping nor closing loops"),
        ({"fault": "disk full"}, DiagnosticStatus.ERROR, "localizing goes on: disk full"),
        ({"awaits": "the first fix"}, DiagnosticStatus.WARN, "waits for the first fix"),
        ({"without_pose": 5}, DiagnosticStatus.WARN, "no pose comes on odom"),
        ({"saved": 0}, DiagnosticStatus.WARN, "until the robot knows where"),
    ],
)
def test_a_session_says_what_it_waits_for(change: dict[str, Any], level: bytes, words: str) -> None:
    status = session_status(SESSION._replace(**change))
    assert status.name == "drive"
    assert (status.level, words in status.message) == (level, True)
    assert values_of(status)["latency_p50_ms"] == "1.2"
    assert values_of(status)["reference_dropped"] == "0"


def test_a_camera_names_its_most_urgent_trouble() -> None:
    statistics = CameraStatistics()

    def message_of(publishers: int | None, timeout_s: float = 60.0) -> tuple[bytes, str]:
        status = camera_status(
            "/front",
            statistics.counts(),
            publishers=publishers,
            timeout_s=timeout_s,
            silence="nobody publishes the topic",
        )
        assert status.name == "camera /front"
        return status.level, status.message

    assert message_of(None) == (DiagnosticStatus.OK, "not listening: the node is not active")
    assert message_of(1)[0] == DiagnosticStatus.OK
    level, message = message_of(0, timeout_s=0.0)
    assert level == DiagnosticStatus.WARN
    assert "nobody publishes" in message
    statistics.count_received()
    statistics.count_failed("step is too short")
    assert message_of(1) == (DiagnosticStatus.WARN, "1 bad image(s): step is too short")
    statistics = CameraStatistics()
    statistics.note_mount("/tf_static does not connect 'camera' with 'base_link'")
    assert message_of(1) == (
        DiagnosticStatus.WARN,
        "/tf_static does not connect 'camera' with 'base_link'",
    )
    statistics.note_calibration("nothing comes on /camera_info")
    level, message = message_of(1)
    assert (level, message[:15]) == (DiagnosticStatus.WARN, "no metric poses")
    statistics.note_incompatible_qos("RELIABILITY")
    level, message = message_of(0)
    assert level == DiagnosticStatus.ERROR
    assert "RELIABILITY" in message


def test_all_counts_are_told() -> None:
    statistics = CameraStatistics()
    statistics.count_received()
    statistics.count_answered(12.0, accepted=True)
    statistics.count_received()
    statistics.count_answered(12.0, accepted=True, metric=True)
    for problem in ("nothing comes on /camera_info", ""):
        statistics.note_calibration(problem)
    status = camera_status("/front", statistics.counts(), publishers=2, timeout_s=5.0)
    values = values_of(status)
    assert values["received"] == values["answered"] == values["accepted"] == "2"
    assert (values["metric"], values["metric_share"]) == ("1", "0.500")
    assert (values["uncalibrated"], values["calibration_problem"]) == ("1", "")
    assert values["dropped"] == values["failed"] == values["lost"] == values["waiting"] == "0"
    assert values["publishers"] == "2"
    assert values["latency_p95_ms"] == "12.0"


def test_the_link_to_a_fleet_tells_its_region_or_what_is_wrong() -> None:
    counts = FleetCounts("500 m around 48.1,11.5", 3, 1, 2, "", 40, 7, 0, "")
    status = fleet_status("s3://fleet/places", 111, counts)
    assert (status.level, status.message) == (DiagnosticStatus.OK, "500 m around 48.1,11.5")
    values = values_of(status)
    assert (values["uri"], values["cached_places"]) == ("s3://fleet/places", "111")
    assert (values["shared"], values["waiting"], values["pull_failures"]) == ("40", "7", "2")
    status = fleet_status("s3://fleet/places", 111, counts._replace(push_fault="it is away"))
    assert status.level == DiagnosticStatus.WARN
    assert status.message.endswith("the store is tried again: it is away")
    status = fleet_status("s3://fleet/places", 111, counts._replace(without_datum=9))
    assert status.level == DiagnosticStatus.WARN
    assert status.message.startswith("9 places are not shared, as their map has no datum")
    counts = FleetCounts("", 0, 0, 0, "", 0, 0, 0, "")
    assert fleet_status("fleet", 0, counts).message == "no region of the fleet's map yet"


def test_robots_in_namespaces_are_told_apart(peer) -> None:
    messages = peer.collect(DiagnosticArray, "/diagnostics")
    robots = [Node("localizer", namespace=name) for name in ("", "ada", "/fleet/bob")]
    names = {"localizer", "ada/localizer", "fleet/bob/localizer"}
    try:
        for robot in robots:
            publish_diagnostics(robot, lambda: [node_status(HEALTH)])
            peer.executor.add_node(robot)
        peer.wait_for(
            lambda: (
                {status.hardware_id for message in messages for status in message.status} == names
            ),
            "the statuses of all robots",
        )
    finally:
        for robot in robots:
            robot.destroy_node()
    said = {status.name for message in messages for status in message.status}
    assert said == {f"{name}: node" for name in names}
    assert all(message.header.stamp.sec for message in messages)
