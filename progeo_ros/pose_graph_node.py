"""The node `progeo_pose_graph`: odometry and loop closures in, the corrected trajectory out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point, Pose, PoseStamped, PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry, Path
from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile

from progeo_core.geo import FloatArray
from progeo_core.localization.pose_stream import OdomInMap
from progeo_core.slam.pose_graph import OptimizedTrajectory, PoseGraph, PoseGraphSettings
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns
from progeo_ros.inputs.odometry import OdometryInput, OdometryPose
from progeo_ros.outputs.diagnostics import publish_diagnostics
from progeo_ros.outputs.map_to_odom import AT_ORIGIN, MapToOdom, transform_message
from progeo_ros.parameters import POSE_GRAPH_GROUPS, NodeParameters
from progeo_ros.pose_graph_diagnostics import GraphHealth, graph_status
from progeo_ros.pose_graph_inputs import PoseGraphInputs, corrected, loop_constraint, pose_prior
from progeo_ros.process.guarded_node import GuardedNode
from progeo_ros.process.log_forwarding import forward_logs, stop_forwarding
from progeo_ros.process.spinning import run_node
from progeo_ros.settings import PoseGraphNodeSettings

NODE = "progeo_pose_graph"
# A path shown later, in RViz or by a script, is there at once.
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class PoseGraphNode(GuardedNode):
    """Node that corrects a trajectory, in a thread of its own, by closures and map poses."""

    def __init__(self, **options: Any) -> None:
        """Declare parameters and topics; `ProgeoError` says what is missing or wrong.

        options: what every rclpy node takes, such as `context` or `parameter_overrides`.
        """
        super().__init__(NODE, **options)
        self._log_handler = forward_logs(self.get_logger())
        parameters = NodeParameters(self, on_change=lambda: None, groups=POSE_GRAPH_GROUPS)
        self.settings = parameters.get(PoseGraphNodeSettings)
        self._inputs = PoseGraphInputs(parameters.get(PoseGraphSettings))
        self._newest: OdometryPose | None = None
        self._solved: OptimizedTrajectory | None = None
        self._solving: Future[OptimizedTrajectory | None] | None = None
        self._known = self._shown_ns = 0
        self._seconds = 0.0
        self._solver = ThreadPoolExecutor(1, thread_name_prefix="pose_graph")
        self._map_to_odom = (
            MapToOdom(self, self.settings.map_frame, self.settings.transform_tolerance)
            if self.settings.publish_map_to_odom
            else None
        )
        self._path = self.create_publisher(Path, "~/path", _LATCHED)
        self._odometry = self.create_publisher(Odometry, "~/odometry", 10)
        self._transform = self.create_publisher(TransformStamped, "~/map_to_odom", _LATCHED)
        self._input = OdometryInput(self, self._on_odometry)
        self.create_subscription(Odometry, "loop_closure", self._on_loop, 100)
        if self.settings.use_pose:
            self.create_subscription(PoseWithCovarianceStamped, "pose", self._on_pose, 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.settings.period_s, self._on_time, clock=steady)
        publish_diagnostics(self, self._statuses)

    def destroy_node(self) -> None:
        """Finish the correction at work."""
        self._solver.shutdown()
        stop_forwarding(self._log_handler)
        super().destroy_node()

    def _on_odometry(self, odometry: OdometryPose) -> None:
        if self._inputs.add_odometry(odometry):
            self.get_logger().warning("time went back: a new session begins")
            self._solved, self._solving = None, None
            self._known = self._shown_ns = 0
            self._newest = None
        if self._newest is None and not self.settings.use_pose:
            # The corrected frame starts where the odometry does.
            self._place(AT_ORIGIN, odometry)
        self._newest = odometry
        if self._map_to_odom is not None:
            self._map_to_odom.broadcast(odometry)
        self._odometry.publish(self._corrected_message(odometry))

    def _on_loop(self, message: Odometry) -> None:
        self._inputs.add(loop_constraint(message))

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        self._inputs.add(pose_prior(message))

    def _on_time(self) -> None:
        """Use a correction that is done, begin another one, and show the path."""
        if self._solving is not None and self._solving.done():
            done, self._solving = self._solving, None
            self._adopt(done)
        counts = self._inputs.counts
        known = counts.loops + counts.priors + counts.segments
        if self._solving is None and known > self._known:
            self._known = known
            solve = self.callback_failures.guard(self._timed)
            self._solving = self._solver.submit(solve, self._inputs.graph.copy())
        if self._newest is not None and self._newest.stamp_ns != self._shown_ns:
            self._shown_ns = self._newest.stamp_ns
            self._path.publish(self._path_message())

    def _timed(self, graph: PoseGraph) -> OptimizedTrajectory | None:
        started = time.perf_counter()
        solved = graph.optimize()
        self._seconds = time.perf_counter() - started
        return solved

    def _adopt(self, done: Future[OptimizedTrajectory | None]) -> None:
        solved = done.result()
        if solved is None or self._newest is None:
            return
        self._solved = solved
        self._place(OdomInMap(solved.map_to_odometry()), self._newest)
        self._shown_ns = 0

    def _place(self, origin: OdomInMap, odometry: OdometryPose) -> None:
        """Say from now on where the odometry's origin is in the map."""
        if self._map_to_odom is not None:
            self._map_to_odom.place(origin)
        self._transform.publish(transform_message(origin, odometry, self.settings.map_frame))

    def _path_message(self) -> Path:
        message = Path()
        message.header.frame_id = self.settings.map_frame
        stamps, poses = self._inputs.graph.path(self._solved)
        for stamp_ns, pose in zip(stamps.tolist(), poses, strict=True):
            stamped = PoseStamped(pose=_pose(pose))
            stamped.header.frame_id = self.settings.map_frame
            stamped.header.stamp = stamp_from_ns(stamp_ns)
            message.poses.append(stamped)
        message.header.stamp = message.poses[-1].header.stamp
        return message

    def _corrected_message(self, odometry: OdometryPose) -> Odometry:
        message = Odometry(child_frame_id=odometry.child_frame)
        message.header.stamp = stamp_from_ns(odometry.stamp_ns)
        message.header.frame_id = self.settings.map_frame
        message.pose.pose = _pose(corrected(odometry, self._solved))
        message.pose.pose.position.z = odometry.position[2]
        return message

    def _statuses(self) -> list[DiagnosticStatus]:
        solved = self._solved
        status = graph_status(
            GraphHealth(
                odometry_dropped=self._input.dropped,
                has_odometry=self._newest is not None,
                counts=self._inputs.counts,
                loops_used=0 if solved is None else int(np.count_nonzero(solved.loops_used)),
                priors_used=0 if solved is None else int(np.count_nonzero(solved.priors_used)),
                nodes=0 if solved is None else len(solved.stamp_ns),
                seconds=self._seconds,
                failures=self.callback_failures.counts(),
            )
        )
        return [status]


def _pose(planar: FloatArray) -> Pose:
    x, y, yaw = (float(value) for value in planar)
    return Pose(position=Point(x=x, y=y), orientation=quaternion_from_yaw(yaw))


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return the exit code, 2 for a bad parameter."""
    return run_node(NODE, PoseGraphNode, args)
