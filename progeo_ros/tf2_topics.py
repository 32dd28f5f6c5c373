"""The topics of tf2 as they are on the wire: all that is needed of it are its messages."""

from __future__ import annotations

from typing import Any

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from progeo_core.errors import MissingDependencyError

try:
    from tf2_msgs import msg as tf2_msgs

    TFMessage: Any = tf2_msgs.TFMessage
except ImportError:  # PyPI has no tf2_msgs.
    TFMessage = None

TF, TF_STATIC = "/tf", "/tf_static"
# As tf2 sends and listens; static transforms that were sent before still come.
TF_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
STATIC_QOS = QoSProfile(
    depth=100,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    reliability=ReliabilityPolicy.RELIABLE,
)


def require_tf2(what: str) -> Any:
    """Return the type of tf2's messages; `MissingDependencyError` says what needs it."""
    if TFMessage is None:
        raise MissingDependencyError(
            f"{what} needs tf2_msgs, which a ROS distribution provides"
            " (apt install ros-$ROS_DISTRO-tf2-msgs); PyPI has none"
        )
    return TFMessage
