"""One message of a bag, read or made: its header, its image or its pose."""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from progeo_core.errors import ImageError
from progeo_core.geo import Frame
from progeo_core.images.codec import Image
from progeo_core.images.depth import FloatArray32, depth_from_raw
from progeo_core.images.intrinsics import (
    Intrinsics,
    read_camera_info,
    ros_model,
    why_no_calibration,
)
from progeo_core.images.ros_encodings import rgb_from_compressed, rgb_from_raw
from progeo_core.poses.pose_messages import PoseReading, nanoseconds, read_fix, read_pose
from progeo_core.poses.transform import level_quaternion

RAW_IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
POSE = "geometry_msgs/msg/PoseStamped"
POSE_WITH_COVARIANCE = "geometry_msgs/msg/PoseWithCovarianceStamped"
ODOMETRY = "nav_msgs/msg/Odometry"
FIX = "sensor_msgs/msg/NavSatFix"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
TRANSFORMS = "tf2_msgs/msg/TFMessage"

IMAGE_TYPES = (RAW_IMAGE, COMPRESSED_IMAGE)
POSE_FRAMES = {
    POSE: Frame.LOCAL,
    POSE_WITH_COVARIANCE: Frame.LOCAL,
    ODOMETRY: Frame.LOCAL,
    FIX: Frame.WGS84,
}

# What damaged bytes make of a message: too short, wrong lengths, text that is no text.
DAMAGED_MESSAGE = (SerdeError, struct.error, ValueError, IndexError)

_NS_PER_S = 1_000_000_000
_NOTHING = (math.nan, math.nan, math.nan)


class Header(NamedTuple):
    """Stamp (ns, 0 or less unknown) and frame of a message."""

    stamp_ns: int
    frame_id: str


@functools.cache
def typestore() -> Typestore:
    """Return the message types; the ones used here are the same in every ROS 2 distribution."""
    return get_typestore(Stores.ROS2_KILTED)


def read_header(data: bytes) -> Header:
    """Read the header that serialised `data` starts with, without touching what follows."""
    # Four bytes say how the rest is encoded; the lowest bit of the second is set for little-endian.
    order = "<" if data[1] & 1 else ">"
    sec, nanosec, length = struct.unpack_from(order + "iII", data, 4)
    frame_id = data[16 : 16 + length].rstrip(b"\0").decode()
    return Header(nanoseconds(sec, nanosec), frame_id)


def read_image(data: bytes, message_type: str, source: str) -> Image:
    """Decode an Image or CompressedImage; raise `ImageError` naming `source`."""
    try:
        message: Any = typestore().deserialize_cdr(data, message_type)
        if message_type == COMPRESSED_IMAGE:
            return rgb_from_compressed(message.data, message.format, source)
        return _rgb_of_raw(message, source)
    except DAMAGED_MESSAGE as error:
        raise ImageError(f"{source}: the message is damaged ({error})") from error


def _rgb_of_raw(message: Any, source: str) -> Image:
    try:
        return rgb_from_raw(message.data, **_layout(message))
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error


def _layout(message: Any) -> dict[str, Any]:
    """Return how the data of an Image are to be read."""
    return {
        "height": message.height,
        "width": message.width,
        "encoding": message.encoding,
        "step": message.step,
        "is_bigendian": bool(message.is_bigendian),
    }


def read_depth_image(data: bytes, source: str) -> FloatArray32:
    """Read an Image of 16UC1 (mm) or 32FC1 (m) as metres; raise `ImageError` naming `source`."""
    try:
        message: Any = typestore().deserialize_cdr(data, RAW_IMAGE)
        return depth_from_raw(message.data, **_layout(message))
    except DAMAGED_MESSAGE as error:
        raise ImageError(f"{source}: the message is damaged ({error})") from error
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error


def read_calibration_message(data: bytes, rectified: bool) -> Intrinsics | str:
    """Read a CameraInfo as `read_camera_info` does; return why where it has no calibration."""
    try:
        message = typestore().deserialize_cdr(data, CAMERA_INFO)
        return read_camera_info(message, rectified) or why_no_calibration(message, rectified)
    except DAMAGED_MESSAGE:
        return "it is damaged"


def read_position(data: bytes, message_type: str) -> PoseReading:
    """Read a message of one of `POSE_FRAMES`; damaged data has no stamp and no position."""
    try:
        message: Any = typestore().deserialize_cdr(data, message_type)
    except DAMAGED_MESSAGE:
        return PoseReading(0, _NOTHING, math.nan, "damaged")
    return read_fix(message) if message_type == FIX else read_pose(message)


def image_message(header: Header, image: Image) -> memoryview:
    """Serialise RGB pixels [h, w, 3] as an Image in rgb8."""
    height, width = image.shape[:2]
    data = np.ascontiguousarray(image).reshape(-1)
    return _serialize(RAW_IMAGE, header, height, width, "rgb8", 0, 3 * width, data)


def compressed_image_message(header: Header, format: str, data: bytes) -> memoryview:
    """Serialise an encoded image as a CompressedImage; `format` is jpeg or png."""
    return _serialize(COMPRESSED_IMAGE, header, format, np.frombuffer(data, np.uint8))


def pose_message(header: Header, position: NDArray[np.float64], yaw_rad: float) -> memoryview:
    """Serialise x, y, z metres as a PoseStamped; an unknown yaw is the zero quaternion."""
    turn = level_quaternion(yaw_rad) if math.isfinite(yaw_rad) else np.zeros(4)
    point = _message("geometry_msgs/msg/Point", *position.tolist())
    quaternion = _message("geometry_msgs/msg/Quaternion", *turn.tolist())
    return _serialize(POSE, header, _message("geometry_msgs/msg/Pose", point, quaternion))


def camera_pose_message(
    header: Header, position: NDArray[np.float64], orientation: NDArray[np.float64]
) -> memoryview:
    """Serialise the pose of optical axes as a PoseStamped."""
    point = _message("geometry_msgs/msg/Point", *position.tolist())
    quaternion = _message("geometry_msgs/msg/Quaternion", *orientation.tolist())
    return _serialize(POSE, header, _message("geometry_msgs/msg/Pose", point, quaternion))


def estimate_message(
    header: Header,
    position: NDArray[np.float64],
    orientation: NDArray[np.float64],
    covariance: NDArray[np.float64],
) -> memoryview:
    """Serialise an estimate with covariance [6, 6] as a PoseWithCovarianceStamped."""
    point = _message("geometry_msgs/msg/Point", *position.tolist())
    quaternion = _message("geometry_msgs/msg/Quaternion", *orientation.tolist())
    pose = _message("geometry_msgs/msg/Pose", point, quaternion)
    flat = np.ascontiguousarray(covariance, np.float64).reshape(36)
    with_covariance = _message("geometry_msgs/msg/PoseWithCovariance", pose, flat)
    return _serialize(POSE_WITH_COVARIANCE, header, with_covariance)


def depth_message(header: Header, depth: FloatArray32) -> memoryview:
    """Serialise metres [h, w] as an Image in 32FC1."""
    height, width = depth.shape
    data = np.ascontiguousarray(depth, "<f4").view(np.uint8).reshape(-1)
    return _serialize(RAW_IMAGE, header, height, width, "32FC1", 0, 4 * width, data)


def camera_info_message(header: Header, intrinsics: Intrinsics) -> memoryview:
    """Serialise a calibration as a CameraInfo of raw images that are not to be rectified."""
    size = intrinsics.width, intrinsics.height
    matrix = intrinsics.matrix(size)
    projection = np.concatenate([matrix, np.zeros((3, 1))], axis=1).reshape(-1)
    distortion = np.array(intrinsics.distortion or (0.0,) * 5)
    region = _message("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
    return _serialize(
        CAMERA_INFO,
        header,
        intrinsics.height,
        intrinsics.width,
        ros_model(intrinsics),
        distortion,
        matrix.reshape(-1),
        np.eye(3).reshape(-1),
        projection,
        0,
        0,
        region,
    )


def fix_message(header: Header, position: NDArray[np.float64]) -> memoryview:
    """Serialise latitude, longitude, altitude as a NavSatFix of unknown covariance."""
    types: Mapping[str, Any] = typestore().types
    status = types["sensor_msgs/msg/NavSatStatus"]
    return _serialize(
        FIX,
        header,
        status(status=status.STATUS_FIX, service=status.SERVICE_GPS),
        *position.tolist(),
        np.zeros(9),
        types[FIX].COVARIANCE_TYPE_UNKNOWN,
    )


def _serialize(message_type: str, header: Header, *fields: Any) -> memoryview:
    time = _message("builtin_interfaces/msg/Time", *divmod(header.stamp_ns, _NS_PER_S))
    message = _message(
        message_type, _message("std_msgs/msg/Header", time, header.frame_id), *fields
    )
    serialized: memoryview = typestore().serialize_cdr(message, message_type)
    return serialized


def _message(message_type: str, *fields: Any) -> Any:
    return typestore().types[message_type](*fields)
