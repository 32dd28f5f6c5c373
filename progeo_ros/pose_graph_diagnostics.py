"""The health of the pose graph node for /diagnostics."""

from __future__ import annotations

from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus

from progeo_ros.outputs.diagnostics import diagnostic_status, failure_values, has_failed
from progeo_ros.pose_graph_inputs import GraphCounts
from progeo_ros.process.guarded_node import FailureCounts


class GraphHealth(NamedTuple):
    """Health of the pose graph.

    odometry_dropped: messages without stamp, position or rotation. loops_used, priors_used: which
    the last correction believed. nodes: poses that it solved for. seconds: that it took.
    failures: of callbacks.
    """

    odometry_dropped: int
    has_odometry: bool
    counts: GraphCounts
    loops_used: int
    priors_used: int
    nodes: int
    seconds: float
    failures: FailureCounts


def graph_status(health: GraphHealth) -> DiagnosticStatus:
    """Return the status of the pose graph."""
    counts = health.counts
    level = DiagnosticStatus.OK
    message = f"{health.loops_used} of {counts.loops} loop closures hold"
    if not health.has_odometry:
        level, message = DiagnosticStatus.WARN, "no odometry yet: remap odom to its topic"
    elif counts.refused and not counts.loops + counts.priors:
        level = DiagnosticStatus.WARN
        message = "all closures were refused: their stamps and the odometry's do not meet"
    elif has_failed(health.failures):
        level, message = DiagnosticStatus.WARN, f"failed: {health.failures.last}"
    values = {
        **counts._asdict(),
        "loops_used": health.loops_used,
        "priors_used": health.priors_used,
        "odometry_dropped": health.odometry_dropped,
        "nodes": health.nodes,
        "correction_ms": f"{health.seconds * 1e3:.1f}",
        **failure_values(health.failures),
    }
    return diagnostic_status("drive", level, message, values)
