"""Messages to images, answers to messages: the only place that knows both sides."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, PoseWithCovarianceStamped, Quaternion
from sensor_msgs.msg import CompressedImage, Image, NavSatFix, NavSatStatus
from std_msgs.msg import Header

from progeo_core.errors import ImageError
from progeo_core.images import codec
from progeo_core.images.ros_encodings import rgb_from_compressed
from progeo_core.images.size_limit import MAX_PIXELS
from progeo_core.localization.answer import CameraFrame, Localization
from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE, PoseEstimate
from progeo_core.poses.pose_messages import nanoseconds
from progeo_core.poses.transform import level_quaternion
from progeo_ros.raw_images import rgb_of

try:
    from geographic_msgs import msg as geographic_msgs

    GeoPoseWithCovarianceStamped: Any = geographic_msgs.GeoPoseWithCovarianceStamped
except ImportError:  # PyPI has no geographic_msgs.
    GeoPoseWithCovarianceStamped = None


def stamp_to_ns(stamp: Time) -> int:
    """Return a ROS stamp as nanoseconds."""
    return nanoseconds(stamp.sec, stamp.nanosec)


def stamp_from_ns(stamp_ns: int) -> Time:
    """Return nanoseconds as a ROS stamp."""
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def frame_from_message(
    message: Image | CompressedImage, camera: str, max_pixels: int = MAX_PIXELS
) -> CameraFrame:
    """Return the pixels of an image message; `ImageError` for any that cannot be used.

    max_pixels: of an image, checked before it is decoded.
    """
    stamp_ns = stamp_to_ns(message.header.stamp)
    if stamp_ns <= 0:
        # A pose with stamp 0 means "latest" to tf and is discarded by filters: worse than none.
        raise ImageError(f"{camera}: the image has no stamp; let the camera driver stamp it")
    if isinstance(message, CompressedImage):
        image = rgb_from_compressed(message.data, message.format, camera, max_pixels)
    else:
        image = rgb_of(message, max_pixels)
    return CameraFrame(image, stamp_ns, camera)


def quaternion_from_yaw(yaw_rad: float) -> Quaternion:
    """Return a rotation about the vertical; none where the yaw is unknown (NaN)."""
    x, y, z, w = level_quaternion(yaw_rad).tolist()
    return Quaternion(x=x, y=y, z=z, w=w)


def orientation_message(estimate: PoseEstimate) -> Quaternion:
    """Return the full orientation of an estimate, or its yaw alone."""
    if estimate.orientation is None:
        return quaternion_from_yaw(estimate.yaw_rad)
    x, y, z, w = (float(value) for value in estimate.orientation)
    return Quaternion(x=x, y=y, z=z, w=w)


def pose_message(
    estimate: PoseEstimate, stamp_ns: int, map_frame: str
) -> PoseWithCovarianceStamped:
    """Return the estimate as robot_localization, nav2 and RTAB-Map read it."""
    message = PoseWithCovarianceStamped()
    message.header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=map_frame)
    x, y, z = (float(value) for value in estimate.position)
    message.pose.pose = Pose(
        position=Point(x=x, y=y, z=z), orientation=orientation_message(estimate)
    )
    message.pose.covariance = estimate.covariance.ravel()
    return message


def fix_message(answer: Localization, frame_id: str) -> NavSatFix:
    """Return latitude, longitude, altitude as a GNSS receiver would; needs a map with a datum."""
    assert answer.geodetic is not None
    message = NavSatFix()
    message.header = Header(stamp=stamp_from_ns(answer.stamp_ns), frame_id=frame_id)
    message.status.status = NavSatStatus.STATUS_FIX
    message.latitude, message.longitude, message.altitude = answer.geodetic
    message.position_covariance = answer.estimate.covariance[:3, :3].ravel()
    message.position_covariance_type = NavSatFix.COVARIANCE_TYPE_KNOWN
    return message


def status_message(answer: Localization, frame_id: str, latency_ms: float) -> DiagnosticArray:
    """Return everything about one answer, whether it was accepted or not.

    Lists are comma separated. Numbers have all their digits, so that nothing is lost in text.
    """
    estimate = answer.estimate
    x, y, z = (float(value) for value in estimate.position)
    turn = orientation_message(estimate)
    values = {
        "method": answer.method,
        "confidence": estimate.confidence,
        "similarity": answer.matches[0].similarity if answer.matches else math.nan,
        "accepted": answer.accepted,
        "relocalized": answer.relocalized,
        "latency_ms": latency_ms,
        "encode_ms": answer.seconds.encode * 1e3,
        "x": x,
        "y": y,
        "z": z,
        "yaw": estimate.yaw_rad,
        "orientation": ",".join(repr(value) for value in (turn.x, turn.y, turn.z, turn.w)),
        "covariance": ",".join(repr(float(value)) for value in estimate.covariance.ravel()),
        "matches": ",".join(str(match.place_id) for match in answer.matches),
        "similarities": ",".join(repr(match.similarity) for match in answer.matches),
        "landmarks": 0 if answer.metric is None else answer.metric.landmarks,
    }
    status = DiagnosticStatus(
        name=answer.camera,
        level=DiagnosticStatus.OK if answer.accepted else DiagnosticStatus.WARN,
        message=f"{answer.state}: {answer.reason}",
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )
    header = Header(stamp=stamp_from_ns(answer.stamp_ns), frame_id=frame_id)
    return DiagnosticArray(header=header, status=[status])


def jpeg_message(image: codec.Image, stamp_ns: int, frame_id: str) -> CompressedImage:
    """Return RGB pixels as a compressed image."""
    message = CompressedImage(format="jpeg")
    message.header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame_id)
    # Anything but an array of bytes is copied value by value, which takes a hundred times longer.
    message.data = array("B", codec.encode_jpeg(image))
    return message


def horizontal_sigma_m(estimate: PoseEstimate) -> float:
    """Return the larger standard deviation (m) of the position on the plan."""
    largest = float(np.linalg.eigvalsh(estimate.covariance[:2, :2])[-1])
    return math.sqrt(min(largest, UNOBSERVED_VARIANCE))


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
    message.pose.pose.orientation = orientation_message(answer.estimate)
    message.pose.covariance = answer.estimate.covariance.ravel()
    return message
