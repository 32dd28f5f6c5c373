"""Single messages against real rclpy ones, whole and damaged."""

import math

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, NavSatFix

from progeo_core.bags import messages
from progeo_core.bags.messages import Header, read_header, read_image, read_position
from progeo_core.errors import ImageError
from progeo_core.images.codec import read_image as read_image_file
from progeo_core.images.intrinsics import Intrinsics, read_camera_info

STAMP = Header(1_700_000_000_123_456_789, "front_caméra")


def stamped(message, header=STAMP):
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(header.stamp_ns, 10**9)
    message.header.frame_id = header.frame_id
    return message


def serialize(message):
    return serialize_message(message)


@pytest.mark.parametrize(
    "name",
    [*messages.IMAGE_TYPES, *messages.POSE_FRAMES, messages.CAMERA_INFO, "std_msgs/msg/Header"],
)
def test_the_types_have_one_layout_in_all_distributions(name):
    def layout(store, name):
        """Return the fields of a type, those of its own types spelled out."""
        return [
            (field, layout(store, kind[1]) if kind[1] in store.fielddefs else kind)
            for field, kind in store.fielddefs[name][1]
        ]

    distributions = [store for store in Stores if store.name.startswith("ROS2_")]
    assert len(distributions) > 5
    layouts = [layout(get_typestore(store), name) for store in distributions]
    assert all(other == layouts[0] for other in layouts)


def test_a_header_is_read_from_any_message_that_starts_with_one():
    for message in (Image(), PoseStamped(), NavSatFix()):
        assert read_header(serialize(stamped(message))) == STAMP


def test_a_big_endian_header_is_read():
    data = (
        b"\x00\x00\x00\x00" + b"\x00\x00\x00\x05" + b"\x00\x00\x00\x07" + b"\x00\x00\x00\x02a\x00"
    )
    assert read_header(data) == Header(5_000_000_007, "a")


def test_rclpy_reads_what_is_serialised(corridor):
    encoded = (corridor / "ref" / "0000000.jpg").read_bytes()
    pixels = read_image_file(corridor / "ref" / "0000000.jpg")
    height, width = pixels.shape[:2]
    image = stamped(Image(height=height, width=width, encoding="rgb8", step=3 * width))
    image.data.frombytes(pixels.tobytes())
    compressed = stamped(CompressedImage(format="jpeg"))
    compressed.data.frombytes(encoded)
    pose = stamped(PoseStamped())
    pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = 1.0, 2.0, 3.0
    pose.pose.orientation.z, pose.pose.orientation.w = math.sin(0.25), math.cos(0.25)
    fix = stamped(NavSatFix(latitude=48.0, longitude=11.5, altitude=510.0))
    fix.status.status, fix.status.service = 0, 1
    for made, expected in (
        (messages.image_message(STAMP, pixels), image),
        (messages.compressed_image_message(STAMP, "jpeg", encoded), compressed),
        (messages.pose_message(STAMP, np.array([1.0, 2.0, 3.0]), 0.5), pose),
        (messages.fix_message(STAMP, np.array([48.0, 11.5, 510.0])), fix),
    ):
        assert deserialize_message(bytes(made), type(expected)) == expected


@pytest.mark.parametrize("kind", [PoseStamped, PoseWithCovarianceStamped, Odometry])
def test_every_kind_of_pose_is_read(kind):
    message = stamped(kind())
    pose = message.pose if kind is PoseStamped else message.pose.pose
    pose.position.x, pose.position.y, pose.position.z = 1.5, -2.5, 0.25
    # Not of unit length, as some senders round.
    pose.orientation.z, pose.orientation.w = 2 * math.sin(1.0), 2 * math.cos(1.0)
    name = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
    read = read_position(serialize(message), name)
    assert read.stamp_ns == STAMP.stamp_ns
    assert read.position == (1.5, -2.5, 0.25)
    assert read.yaw_rad == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("status", "latitude", "known"),
    [
        (0, 48.0, True),
        (2, 48.0, True),
        (-2, 48.0, False),
        (-1, 48.0, False),
        (0, 91.0, False),
        (0, math.nan, False),
        (0, 0.0, False),
    ],
)
def test_a_fix_counts_unless_the_receiver_had_none(status, latitude, known):
    longitude = 0.0 if latitude == 0.0 else 11.5
    message = stamped(NavSatFix(latitude=latitude, longitude=longitude, altitude=math.nan))
    message.status.status = status
    pose = read_position(serialize(message), messages.FIX)
    assert math.isnan(pose.yaw_rad)
    assert pose.position[:2] == (48.0, 11.5) if known else math.isnan(pose.position[0])


def test_a_message_cut_at_any_byte_is_refused_or_unknown():
    image = serialize(stamped(Image(height=1, width=2, encoding="mono8", step=2, data=[7, 9])))
    for length in range(len(image)):
        with pytest.raises(ImageError, match="here"):
            read_image(image[:length], messages.RAW_IMAGE, "here")
    pose = serialize(stamped(PoseStamped()))
    for length in range(len(pose)):
        assert read_position(pose[:length], messages.POSE).stamp_ns == 0
    np.testing.assert_array_equal(
        read_image(image, messages.RAW_IMAGE, "here"), [[[7, 7, 7], [9, 9, 9]]]
    )


@pytest.mark.parametrize("change", [{"encoding": "RGB8"}, {"step": 0}, {"height": 0}])
def test_an_image_that_cannot_be_used_is_named(change):
    fields = {"height": 1, "width": 2, "encoding": "mono8", "step": 2, "data": [7, 9]} | change
    with pytest.raises(ImageError, match=r"^/camera@7: "):
        read_image(serialize(stamped(Image(**fields))), messages.RAW_IMAGE, "/camera@7")


@pytest.mark.parametrize(
    "lens",
    [
        Intrinsics(640, 480, 500.0, 510.0, 320.0, 240.0),
        Intrinsics(640, 480, 500.0, 510.0, 320.0, 240.0, (-0.2, 0.1, 0.0, 0.0, 0.01)),
        Intrinsics(640, 480, 500.0, 510.0, 320.0, 240.0, tuple(0.1 * n for n in range(8))),
        Intrinsics(640, 480, 400.0, 400.0, 320.0, 240.0, (-0.02, 0.0, 0.0, 0.0), "fisheye"),
    ],
)
def test_rclpy_reads_a_calibration_that_was_serialised(lens):
    data = bytes(messages.camera_info_message(STAMP, lens))
    message = deserialize_message(data, CameraInfo)
    assert message.header == stamped(CameraInfo()).header
    assert read_camera_info(message, rectified=False) == lens
    assert messages.read_calibration_message(data, rectified=False) == lens
    assert messages.read_calibration_message(data[:60], rectified=False) == "it is damaged"
    rectified = messages.read_calibration_message(data, rectified=True)
    assert (rectified.focal_x, rectified.distortion) == (lens.focal_x, ())


def test_depth_is_read_as_it_was_serialised():
    metres = np.array([[1.0, np.nan], [2.5, 0.25], [4.0, 8.0]], np.float32)
    data = bytes(messages.depth_message(STAMP, metres))
    image = deserialize_message(data, Image)
    assert (image.height, image.width, image.encoding, image.step) == (3, 2, "32FC1", 8)
    np.testing.assert_array_equal(messages.read_depth_image(data, "depth"), metres)
    with pytest.raises(ImageError, match="depth: the message is damaged"):
        messages.read_depth_image(data[:50], "depth")
    colours = serialize(Image(height=1, width=1, encoding="rgb8", step=3, data=[1, 2, 3]))
    with pytest.raises(ImageError, match="depth: encoding 'rgb8' is not depth"):
        messages.read_depth_image(colours, "depth")
