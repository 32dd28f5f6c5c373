from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from progeo_ros.inputs.camera_statistics import CameraStatistics
from progeo_ros.outputs.diagnostics import NodeHealth, camera_status, node_status

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
    ],
)
def test_a_node_in_trouble_says_why(change: dict[str, Any], level: bytes, words: str) -> None:
    status = node_status(HEALTH._replace(**change))
    assert status.level == level
    assert words in status.message


def test_camera_verdicts_name_the_most_urgent_trouble() -> None:
    statistics = CameraStatistics()

    def verdict(publishers: int | None, timeout_s: float = 60.0) -> tuple[bytes, str]:
        status = camera_status(
            "/front", statistics.counts(), publishers=publishers, timeout_s=timeout_s
        )
        assert status.name == "progeo_localizer: camera /front"
        return status.level, status.message

    assert verdict(None) == (DiagnosticStatus.OK, "not listening: the node is not active")
    assert verdict(1)[0] == DiagnosticStatus.OK
    level, message = verdict(0, timeout_s=0.0)
    assert level == DiagnosticStatus.WARN
    assert "nobody publishes" in message
    assert "1 publisher(s)" in verdict(1, timeout_s=0.0)[1]
    statistics.count_received()
    statistics.count_failed("step is too short")
    assert verdict(1) == (DiagnosticStatus.WARN, "1 bad image(s): step is too short")
    statistics.note_incompatible_qos("RELIABILITY")
    level, message = verdict(0)
    assert level == DiagnosticStatus.ERROR
    assert "RELIABILITY" in message


def test_all_counts_are_told() -> None:
    statistics = CameraStatistics()
    statistics.count_received()
    statistics.count_answered(12.0, accepted=True)
    status = camera_status("/front", statistics.counts(), publishers=2, timeout_s=5.0)
    values = values_of(status)
    assert values["received"] == values["answered"] == values["accepted"] == "1"
    assert values["dropped"] == values["failed"] == values["lost"] == values["waiting"] == "0"
    assert values["publishers"] == "2"
    assert values["latency_p95_ms"] == "12.0"
