"""Answers as geographic_msgs, where a ROS distribution provides that package."""

from __future__ import annotations

from typing import Any

from progeo_core.localizer import Localization
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns

__all__ = ["GeoPoseWithCovarianceStamped", "geo_pose_message"]

try:
    from geographic_msgs.msg import GeoPoseWithCovarianceStamped
except ImportError:  # PyPI has no geographic_msgs.
    GeoPoseWithCovarianceStamped = None


def geo_pose_message(answer: Localization, map_frame: str) -> Any:
    """Return latitude, longitude, altitude with orientation and covariance in east, north, up.

    Needs geographic_msgs, and a map with a datum.
    """
    assert answer.geodetic is not None
    message = GeoPoseWithCovarianceStamped()
    message.header.stamp = stamp_from_ns(answer.stamp_ns)
    message.header.frame_id = map_frame
    position = message.pose.pose.position
    position.latitude, position.longitude, position.altitude = answer.geodetic
    message.pose.pose.orientation = quaternion_from_yaw(answer.estimate.yaw_rad)
    message.pose.covariance = answer.estimate.covariance.ravel()
    return message
