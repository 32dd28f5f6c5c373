"""The health of the node as diagnostic_msgs, for /diagnostics."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from progeo_core.fleet.robot_fleet import FleetCounts
from progeo_ros.inputs.camera_statistics import CameraCounts
from progeo_ros.process.guarded_node import FailureCounts

# How long (s) after a bad image or another failure the status stays a warning.
_FAILURE_SHOWN_S = 5.0


def publish_diagnostics(node: Node, statuses: Callable[[], list[DiagnosticStatus]]) -> None:
    """Publish a node's statuses on /diagnostics once a second, named after the node.

    It is real time, so that this goes on where simulated time stands still.
    """
    publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def publish() -> None:
        message = DiagnosticArray(status=[of_node(node, status) for status in statuses()])
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)

    node.create_timer(1.0, publish, clock=Clock(clock_type=ClockType.STEADY_TIME))


def of_node(node: Node, status: DiagnosticStatus) -> DiagnosticStatus:
    """Put a node's full name, without its leading slash, before the name of a status.

    Robots that share /diagnostics differ in their namespaces alone.
    """
    name = node.get_fully_qualified_name().lstrip("/")
    status.name, status.hardware_id = f"{name}: {status.name}", name
    return status


class NodeHealth(NamedTuple):
    """Health of the node itself.

    state: lifecycle state. fault: why it cannot run, "" where it can. datum: "" for a local map.
    odometry_dropped: messages without stamp, position or rotation.
    publish_failures: messages that the middleware refused. clock_ns: ROS time now, 0 not running.
    failures: of callbacks.
    """

    state: str
    fault: str
    map_path: str
    places: int
    model: str
    datum: str
    odometry_dropped: int
    publish_failures: int
    clock_ns: int
    failures: FailureCounts


def node_status(health: NodeHealth) -> DiagnosticStatus:
    """Return the status of the node: its state, map and model."""
    level, message = DiagnosticStatus.OK, health.state
    if health.fault:
        level, message = DiagnosticStatus.ERROR, health.fault
    elif health.clock_ns == 0:
        level, message = DiagnosticStatus.WARN, "use_sim_time is on, but /clock gives no time"
    elif has_failed(health.failures):
        level, message = DiagnosticStatus.WARN, f"{health.state}; failed: {health.failures.last}"
    values = {
        "state": health.state,
        "map": health.map_path,
        "places": health.places,
        "model": health.model,
        "datum": health.datum,
        "odometry_dropped": health.odometry_dropped,
        "publish_failures": health.publish_failures,
        **failure_values(health.failures),
    }
    return diagnostic_status("node", level, message, values)


def has_failed(failures: FailureCounts) -> bool:
    """Whether a callback has failed lately."""
    return failures.age_s < _FAILURE_SHOWN_S


def failure_values(failures: FailureCounts) -> dict[str, object]:
    """Return what diagnostics show of the callbacks that failed."""
    return {"callback_failures": failures.total, "last_callback_failure": failures.last}


class SessionHealth(NamedTuple):
    """Health of mapping and loop closure.

    fault: why mapping pauses, "" where it does not. saved, lost: keyframes on disk, and not.
    unplaced: keyframes that have no place in the map (yet). without_pose: images without
    odometry at their time. awaits: what mapping waits for, "" for nothing. reference_dropped:
    messages without stamp or position, or of a receiver without a fix. with_features,
    with_landmarks: keyframes whose local features, and 3-D points, are on disk. features_skipped:
    keyframes that keep their thumbnail only. landmarks_refused: keyframes whose 3-D points others
    contradict. depth_dropped: depth images that could not be used, and depth_fault: why.
    """

    mapping: bool
    close_loops: bool
    fault: str
    keyframes: int
    saved: int
    lost: int
    unplaced: int
    without_pose: int
    closures: int
    odometry_restarts: int
    latency_p50_ms: float
    latency_p95_ms: float
    awaits: str
    reference_dropped: int
    with_features: int = 0
    with_landmarks: int = 0
    features_skipped: int = 0
    landmarks_refused: int = 0
    depth_dropped: int = 0
    depth_fault: str = ""


def session_status(health: SessionHealth) -> DiagnosticStatus:
    """Return the status of mapping and loop closure."""
    level, message = _session_message(health)
    values = {
        name: f"{value:.1f}" if isinstance(value, float) else value
        for name, value in health._asdict().items()
    }
    return diagnostic_status("drive", level, message, values)


def _session_message(health: SessionHealth) -> tuple[bytes, str]:
    if not (health.mapping or health.close_loops or health.fault):
        return DiagnosticStatus.OK, "neither mapping nor closing loops"
    if health.fault:
        return DiagnosticStatus.ERROR, f"mapping pauses, localizing goes on: {health.fault}"
    if health.awaits:
        return DiagnosticStatus.WARN, f"mapping waits for {health.awaits}"
    if health.keyframes and health.without_pose == health.keyframes:
        return DiagnosticStatus.WARN, "no pose comes on odom (or the reference) for the images"
    problem = health.depth_fault and f"keyframes lack 3-D points: {health.depth_fault}"
    if health.mapping and health.keyframes and not health.saved:
        problem = "mapping waits until the robot knows where in the map it is"
    if problem:
        return DiagnosticStatus.WARN, problem
    return DiagnosticStatus.OK, f"{health.keyframes} keyframes, {health.closures} loop closures"


def fleet_status(uri: str, places: int, counts: FleetCounts) -> DiagnosticStatus:
    """Return the status of the link to a fleet's store; places: of the map in use."""
    level, message = DiagnosticStatus.OK, counts.region or "no region of the fleet's map yet"
    fault = counts.pull_fault or counts.push_fault
    if counts.without_datum:
        level = DiagnosticStatus.WARN
        message = (
            f"{counts.without_datum} places are not shared, as their map has no datum: map with"
            " mapping_reference: fix, or begin while a region of the fleet's map is in use"
        )
    if fault:
        level = DiagnosticStatus.WARN
        message = f"localizing goes on with what is here, and the store is tried again: {fault}"
    values = {
        "uri": uri,
        "cached_places": places,
        **counts._asdict(),
    }
    return diagnostic_status("fleet", level, message, values)


def camera_status(
    topic: str,
    counts: CameraCounts,
    *,
    publishers: int | None,
    timeout_s: float,
    silence: str = "",
) -> DiagnosticStatus:
    """Return the status of one camera.

    publishers: how many send to its topic, None while the node does not listen.
    timeout_s: silence after which this is a warning. silence: why no image comes.
    """
    latency = counts.latency_ms
    level, message = _camera_message(counts, publishers, timeout_s, silence)
    values = {
        "received": counts.received,
        "answered": counts.answered,
        "accepted": counts.accepted,
        "metric": counts.metric,
        "metric_share": f"{counts.metric / max(1, counts.answered):.3f}",
        "uncalibrated": counts.uncalibrated,
        "calibration_problem": counts.calibration_problem,
        "extrinsics_problem": counts.mount_problem,
        "dropped": counts.dropped,
        "failed": counts.failed,
        "lost": counts.lost,
        "waiting": counts.waiting,
        "publishers": publishers or 0,
        "rate_hz": f"{counts.rate_hz:.2f}",
        "silence_s": f"{counts.silence_s:.1f}",
        "latency_p50_ms": f"{latency.p50:.1f}",
        "latency_p95_ms": f"{latency.p95:.1f}",
        "latency_p99_ms": f"{latency.p99:.1f}",
        "last_failure": counts.last_failure,
        "incompatible_qos": counts.incompatible_qos,
    }
    return diagnostic_status(f"camera {topic}", level, message, values)


def _camera_message(
    counts: CameraCounts, publishers: int | None, timeout_s: float, silence: str
) -> tuple[bytes, str]:
    """Return the level and the most urgent message."""
    if publishers is None:
        return DiagnosticStatus.OK, "not listening: the node is not active"
    if counts.incompatible_qos and not publishers:
        return DiagnosticStatus.ERROR, (
            f"a publisher's QoS does not match ({counts.incompatible_qos}):"
            " set image_reliability to auto"
        )
    if counts.silence_s > timeout_s:
        return DiagnosticStatus.WARN, f"no images for {counts.silence_s:.0f} s; {silence}"
    if counts.failure_age_s < _FAILURE_SHOWN_S:
        return DiagnosticStatus.WARN, f"{counts.failed} bad image(s): {counts.last_failure}"
    if counts.stamps_crawl:
        return DiagnosticStatus.WARN, (
            "the stamps go by far slower than time: the driver does not count in nanoseconds, and"
            " motion looks as much too fast"
        )
    problem = counts.mount_problem
    if counts.calibration_problem:
        problem = f"no metric poses: {counts.calibration_problem}"
    level = DiagnosticStatus.WARN if problem else DiagnosticStatus.OK
    return level, problem or f"{counts.rate_hz:.1f} images/s"


def diagnostic_status(
    name: str, level: bytes, message: str, values: dict[str, object]
) -> DiagnosticStatus:
    """Return a status of a part of a node, called `name`; `of_node` adds whose it is."""
    return DiagnosticStatus(
        name=name,
        level=level,
        message=message,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )
