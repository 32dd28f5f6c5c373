"""Where the robot was, as tf has it: the positions of a map that is being made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.node import Node

from progeo_core.poses.pose_messages import PoseReading, read_transforms
from progeo_core.poses.transform_tree import TransformTree
from progeo_ros.inputs.matched_subscription import MatchedSubscription
from progeo_ros.inputs.static_transforms import StaticTransforms
from progeo_ros.tf2_topics import TF, TF_QOS, require_tf2


class TransformReference:
    """Subscription to `/tf` and `/tf_static` that delivers poses of a frame in the map.

    A pose is there once every transform in between is known for its time, as in tf2.
    """

    def __init__(
        self, node: Node, map_frame: str, base_frame: str, deliver: Callable[[PoseReading], None]
    ) -> None:
        """Subscribe; `deliver` runs in the executor's thread and must be quick.

        Raises `MissingDependencyError` without tf2_msgs.
        """
        kind = require_tf2("mapping_reference tf")
        self._node, self._deliver = node, deliver
        self._inside, self._frame = map_frame.lstrip("/"), base_frame.lstrip("/")
        self.dropped, self._delivered_ns = 0, 0
        self._static = StaticTransforms(node)
        self._tree = TransformTree(self._static.frames)
        self._subscription = MatchedSubscription(
            node, kind, TF, self._on_transforms, depth=TF_QOS.depth
        )

    @property
    def problem(self) -> str:
        """Return why there is no pose yet, "" where there was one."""
        if self._delivered_ns:
            return ""
        return f"{TF} does not connect '{self._frame}' with '{self._inside}'"

    def destroy(self) -> None:
        """Stop receiving."""
        self._subscription.destroy()
        self._static.destroy()

    def _on_transforms(self, message: Any) -> None:
        for one in read_transforms(message):
            if not self._tree.add(*one):
                self.dropped += 1
                self._node.get_logger().warning(
                    f"{TF}: the transform from '{one.parent}' to '{one.child}' is dropped: it has"
                    " no stamp, no names, no rotation or numbers that are of no robot",
                    throttle_duration_sec=5.0,
                )
        self._deliver_known()

    def _deliver_known(self) -> None:
        stamps = self._tree.stamps(self._frame, self._inside, self._delivered_ns)
        if not len(stamps):
            return
        poses = self._tree.at(stamps, self._frame, self._inside)
        assert poses is not None
        yaw = poses.heading_rad
        for row in np.flatnonzero(np.isfinite(poses.position).all(axis=1)):
            x, y, z = poses.position[row].tolist()
            a, b, c, d = poses.orientation[row].tolist()
            self._deliver(
                PoseReading(int(stamps[row]), (x, y, z), float(yaw[row]), "", (a, b, c, d))
            )
        self._delivered_ns = int(stamps[-1])
        self._tree.forget_before(self._delivered_ns)
