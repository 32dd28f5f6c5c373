"""Raw images by cv_bridge and without it: which of the two converts, and that nobody sees it."""

from __future__ import annotations

import sys
from array import array
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import Image

from progeo_core.errors import ImageError
from progeo_core.images.ros_encodings import rgb_from_raw
from progeo_ros import raw_images
from progeo_ros.raw_images import rgb_of

MEGAPIXEL = 1_000_000
# Bytes of a pixel; cv_bridge of no distribution knows the planes of nv12 and nv21.
ENCODINGS = {
    **dict.fromkeys(("mono8", "8UC1"), 1),
    **{f"bayer_{order}8": 1 for order in ("rggb", "bggr", "gbrg", "grbg")},
    **dict.fromkeys(("rgb8", "bgr8", "8UC3"), 3),
    **dict.fromkeys(("rgba8", "bgra8", "8UC4"), 4),
    "mono16": 2,
    **{f"bayer_{order}16": 2 for order in ("rggb", "bggr", "gbrg", "grbg")},
    **dict.fromkeys(("rgb16", "bgr16", "16UC3"), 6),
    **dict.fromkeys(("rgba16", "bgra16", "16UC4"), 8),
    **dict.fromkeys(("uyvy", "yuv422", "yuyv", "yuv422_yuy2"), 2),
}


def raw(encoding: str, padding: int = 0, *, is_bigendian: bool = False) -> Image:
    """Return noise of 16 x 12 pixels, the first of them white."""
    width, height = 16, 12
    step = width * ENCODINGS[encoding] + padding
    message = Image(height=height, width=width, encoding=encoding, step=step)
    message.is_bigendian = int(is_bigendian)
    noise = np.random.default_rng(0).integers(0, 256, height * step, np.uint8)
    noise[: ENCODINGS[encoding]] = 255  # or 16 bits would be stretched
    message.data = array("B", noise.tobytes())
    return message


def without_bridge(message: Image) -> np.ndarray[Any, Any]:
    return rgb_from_raw(
        message.data,
        height=message.height,
        width=message.width,
        encoding=message.encoding,
        step=message.step,
        is_bigendian=bool(message.is_bigendian),
    )


class Bridge:
    """Stands in for cv_bridge: gives black pixels, so that they are told from right ones."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def imgmsg_to_cv2(self, message: Image, desired: str) -> np.ndarray[Any, Any]:
        self.asked.append(message.encoding)
        if message.encoding == "8UC3":
            raise RuntimeError("[8UC3] is not a color format. but [rgb8] is.")
        assert desired == "rgb8"
        return np.zeros((message.height, message.width, 3), np.uint8)


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Bridge:
    made = Bridge()
    monkeypatch.setattr(raw_images, "BRIDGE", made)
    monkeypatch.setattr(raw_images, "_refused", set())
    return made


def test_a_bridge_converts_what_it_reads_rightly(bridge: Bridge) -> None:
    assert not rgb_of(raw("bgr8"), MEGAPIXEL).any()
    assert bridge.asked == ["bgr8"]


def test_padding_other_byte_orders_and_16_bits_are_not_for_the_bridge(bridge: Bridge) -> None:
    other = sys.byteorder == "little"
    for message in (
        *(raw("bgr8", padding=1), raw("mono8", padding=16), raw("mono16"), raw("bayer_rggb16")),
        *(raw("mono16", is_bigendian=other), raw("rgb8", is_bigendian=other)),
    ):
        np.testing.assert_array_equal(rgb_of(message, MEGAPIXEL), without_bridge(message))
    assert not bridge.asked


def test_what_the_bridge_refuses_is_converted_without_it_and_not_asked_again(
    bridge: Bridge,
) -> None:
    message = raw("8UC3")
    for _ in range(2):
        np.testing.assert_array_equal(rgb_of(message, MEGAPIXEL), without_bridge(message))
    assert bridge.asked == ["8UC3"]


def test_depth_and_bad_sizes_never_reach_the_bridge(bridge: Bridge) -> None:
    depth = raw("mono16")
    depth.encoding = "16UC1"
    with pytest.raises(ImageError, match="is depth, which is no picture"):
        rgb_of(depth, MEGAPIXEL)
    with pytest.raises(ImageError, match="too many"):
        rgb_of(raw("rgb8"), 16 * 12 - 1)
    assert not bridge.asked


# Grey of 16 bits is stretched by what it uses; see rgb8_from_any_depth.
@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name != "mono16"])
def test_both_give_the_same_pixels(encoding: str) -> None:
    cv_bridge = pytest.importorskip("cv_bridge", reason="only a ROS distribution has cv_bridge")
    message = raw(encoding)
    try:
        expected = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
    except cv_bridge.CvBridgeError:
        # Generic types are no colours to it, and older ones do not know all names of YUV.
        generic = {"8UC1", "8UC3", "8UC4", "16UC3", "16UC4"}
        assert encoding in generic | {"uyvy", "yuyv", "yuv422_yuy2"}
    else:
        np.testing.assert_array_equal(without_bridge(message), expected)
