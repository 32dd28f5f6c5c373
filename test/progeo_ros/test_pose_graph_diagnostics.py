import math
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from progeo_ros.pose_graph_diagnostics import GraphHealth, graph_status
from progeo_ros.pose_graph_inputs import GraphCounts
from progeo_ros.process.guarded_node import FailureCounts

COUNTS = GraphCounts(restarts=0, segments=1, loops=9, waiting=2, refused=3, priors=0)
HEALTH = GraphHealth(
    odometry_dropped=4,
    has_odometry=True,
    counts=COUNTS,
    loops_used=8,
    priors_used=0,
    nodes=50,
    seconds=0.0125,
    failures=FailureCounts(0, "", math.inf),
)
NONE_TAKEN = COUNTS._replace(loops=0, priors=0)


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({}, DiagnosticStatus.OK, "8 of 9 loop closures hold"),
        ({"has_odometry": False}, DiagnosticStatus.WARN, "remap odom to its topic"),
        ({"counts": NONE_TAKEN}, DiagnosticStatus.WARN, "their stamps and the odometry's"),
        (
            {"failures": FailureCounts(1, "_on_loop: KeyError", 0.5)},
            DiagnosticStatus.WARN,
            "_on_loop",
        ),
    ],
)
def test_the_status_names_what_is_wrong(change: dict[str, Any], level: bytes, words: str) -> None:
    status = graph_status(HEALTH._replace(**change))
    assert status.level == level
    assert words in status.message


def test_all_counts_are_shown() -> None:
    values = {pair.key: pair.value for pair in graph_status(HEALTH).values}
    assert {name: values[name] for name in COUNTS._fields} == {
        name: str(value) for name, value in COUNTS._asdict().items()
    }
    assert values["odometry_dropped"] == "4"
    assert values["correction_ms"] == "12.5"
    assert values["callback_failures"] == "0"
