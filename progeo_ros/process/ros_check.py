"""What ROS is like here, as JSON on stdout: what `progeo doctor` runs in a process of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier

from progeo_ros.process.dds_environment import profile_variable, shared_file

# Other nodes are found within this time (s); what was found last is all after another second.
_LISTENING_S, _QUIET_S = 6.0, 1.0
# Types of topics that the localizer can use.
_TYPES = (
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CompressedImage",
    "sensor_msgs/msg/CameraInfo",
    "sensor_msgs/msg/NavSatFix",
    "nav_msgs/msg/Odometry",
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
)


def main() -> int:
    """Look at ROS and print what there is."""
    rclpy.init()
    node = rclpy.create_node("progeo_doctor", enable_rosout=False, start_parameter_services=False)
    document = {
        "middleware": get_rmw_implementation_identifier(),
        "profile_variable": profile_variable(),
        "shipped_profile": str(shared_file("config/fastdds.xml")),
        "profile": os.environ.get(profile_variable(), ""),
        "topics": all_topics(node),
    }
    node.destroy_node()
    rclpy.try_shutdown()
    print(json.dumps(document))
    return 0


def all_topics(node: Node) -> list[dict[str, Any]]:
    """Return the topics that are found while nodes still come up (see `topics`)."""
    started = changed = time.monotonic()
    found = topics(node)
    while (now := time.monotonic()) < started + _LISTENING_S:
        time.sleep(0.1)
        latest = topics(node)
        if latest != found:
            found, changed = latest, now
        if found and now > changed + _QUIET_S:
            break
    return found


def topics(node: Node) -> list[dict[str, Any]]:
    """Return topics that the localizer can use, with the QoS of their publishers."""
    found = []
    for name, types in node.get_topic_names_and_types():
        publishers = node.get_publishers_info_by_topic(name)
        if publishers and types[0] in _TYPES:
            profiles = [publisher.qos_profile for publisher in publishers]
            found.append(
                {
                    "name": name,
                    "type": types[0],
                    "publishers": len(publishers),
                    "reliability": sorted({one.reliability.name.lower() for one in profiles}),
                    "durability": sorted({one.durability.name.lower() for one in profiles}),
                }
            )
    return found


if __name__ == "__main__":
    sys.exit(main())
