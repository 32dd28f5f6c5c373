"""Raw and compressed messages against pixels that are known by construction."""

import array

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.errors import ImageError
from progeo_core.images.codec import read_image
from progeo_core.images.ros_encodings import check_raw, rgb_from_compressed, rgb_from_raw

# Where a pattern has its red, both its greens and its blue: (row, column) of the 2 x 2 cell.
BAYER = {
    "rggb": ((0, 0), ((0, 1), (1, 0)), (1, 1)),
    "bggr": ((1, 1), ((0, 1), (1, 0)), (0, 0)),
    "gbrg": ((1, 0), ((0, 0), (1, 1)), (0, 1)),
    "grbg": ((0, 1), ((0, 0), (1, 1)), (1, 0)),
}


@pytest.fixture(scope="module")
def rgb(campus_loop):
    return read_image(campus_loop / "dataset" / "image_0.png")


def pad_rows(samples, padding):
    """Return the bytes of [h, ...] samples, `padding` bytes of 0xEE after every row, and step."""
    rows = np.ascontiguousarray(samples).view(np.uint8).reshape(samples.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    return padded.tobytes(), padded.shape[1]


def convert(samples, encoding, *, padding=0, is_bigendian=False, shape=None):
    height, width = (shape or samples.shape)[:2]
    data, step = pad_rows(samples, padding)
    return rgb_from_raw(
        data, height=height, width=width, encoding=encoding, step=step, is_bigendian=is_bigendian
    )


def with_alpha(image):
    return np.dstack([image, np.full(image.shape[:2], 77, image.dtype)])


def mosaic(image, pattern):
    red, greens, blue = BAYER[pattern]
    raw = np.zeros(image.shape[:2], image.dtype)
    for channel, sites in enumerate(((red,), greens, (blue,))):
        for row, column in sites:
            raw[row::2, column::2] = image[row::2, column::2, channel]
    return raw


@pytest.mark.parametrize("padding", [0, 1, 7])
@pytest.mark.parametrize(
    ("encoding", "arrange"),
    [
        ("rgb8", lambda image: image),
        ("bgr8", lambda image: image[:, :, ::-1]),
        ("rgba8", with_alpha),
        ("bgra8", lambda image: with_alpha(image[:, :, ::-1])),
        ("8UC3", lambda image: image[:, :, ::-1]),
        ("8UC4", lambda image: with_alpha(image[:, :, ::-1])),
    ],
)
def test_eight_bit_colours_survive_any_row_padding(rgb, encoding, arrange, padding):
    np.testing.assert_array_equal(convert(arrange(rgb), encoding, padding=padding), rgb)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_becomes_three_equal_channels(rgb, encoding):
    grey = rgb[:, :, 1]
    np.testing.assert_array_equal(convert(grey, encoding, padding=3), np.dstack([grey] * 3))


@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize(
    ("encoding", "arrange"),
    [
        ("rgb16", lambda image: image),
        ("bgr16", lambda image: image[:, :, ::-1]),
        ("16UC3", lambda image: image[:, :, ::-1]),
        ("rgba16", with_alpha),
        ("bgra16", lambda image: with_alpha(image[:, :, ::-1])),
    ],
)
def test_sixteen_bits_are_read_in_the_messages_byte_order(rgb, encoding, arrange, is_bigendian):
    samples = arrange(rgb.astype(np.uint16) * 257)
    if is_bigendian:
        samples = samples.byteswap()
    pixels = convert(samples, encoding, padding=1, is_bigendian=is_bigendian)
    np.testing.assert_array_equal(pixels, rgb)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_is_no_picture(encoding):
    with pytest.raises(ImageError, match=f"'{encoding}' is depth, which is no picture: name the"):
        check_raw(1000, height=1, width=1, encoding=encoding, step=4)


@pytest.mark.parametrize("encoding", ["mono16"])
@pytest.mark.parametrize("used", [1023, 4095, 16383, 65535])
def test_grey_of_sixteen_bits_is_stretched_by_what_it_uses(rgb, encoding, used):
    grey = rgb[:, :, 1]
    samples = (grey.astype(float) * used / 255).astype(np.uint16)
    pixels = convert(samples, encoding)
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert np.corrcoef(pixels[:, :, 2].ravel(), grey.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", BAYER)
def test_bayer_keeps_the_samples_that_the_sensor_measured(rgb, pattern, bits):
    image = rgb if bits == 8 else rgb.astype(np.uint16) * 257
    pixels = convert(mosaic(image, pattern), f"bayer_{pattern}{bits}")
    red, greens, blue = BAYER[pattern]
    inside = np.s_[2:-2, 2:-2]
    for channel, sites in enumerate(((red,), greens, (blue,))):
        for row, column in sites:
            measured = np.zeros(rgb.shape[:2], bool)
            measured[row::2, column::2] = True
            np.testing.assert_array_equal(
                pixels[inside][measured[inside]][:, channel],
                rgb[inside][measured[inside]][:, channel],
            )
    # What is interpolated is close, too: a wrong pattern would swap colours.
    assert np.abs(pixels[inside].astype(int) - rgb[inside]).mean() < 4


def test_packed_yuv_is_told_apart_by_its_byte_order(rgb):
    even = rgb[: rgb.shape[0] // 4 * 4, : rgb.shape[1] // 2 * 2]
    height, width = even.shape[:2]
    planar = cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420)
    u, v = planar[height:].reshape(2, height // 2, width // 2).repeat(2, axis=1)
    uyvy = np.dstack([np.dstack([u, v]).reshape(height, width), planar[:height]])
    yuyv = uyvy[:, :, ::-1]
    expected = convert(uyvy, "uyvy", padding=5)
    assert np.abs(expected.astype(int) - even).mean() < 4
    for encoding, samples in (("yuv422", uyvy), ("yuyv", yuyv), ("yuv422_yuy2", yuyv)):
        np.testing.assert_array_equal(convert(samples, encoding), expected)


def test_nv12_and_nv21_follow_grey_with_a_chroma_plane(rgb):
    even = rgb[: rgb.shape[0] // 4 * 4, : rgb.shape[1] // 2 * 2]
    height, width = even.shape[:2]
    planar = cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420)
    u, v = planar[height:].reshape(2, height // 2, width // 2)
    for encoding, chroma in (("nv12", (u, v)), ("nv21", (v, u))):
        samples = np.vstack([planar[:height], np.dstack(chroma).reshape(height // 2, width)])
        pixels = convert(samples, encoding, padding=3, shape=even.shape)
        assert pixels.shape == even.shape
        assert np.abs(pixels.astype(int) - even).mean() < 4


def test_rgb8_shares_memory_with_the_message(rgb):
    data = array.array("B", rgb.tobytes())
    height, width = rgb.shape[:2]
    pixels = rgb_from_raw(
        data, height=height, width=width, encoding="rgb8", step=3 * width, is_bigendian=False
    )
    assert np.shares_memory(pixels, np.frombuffer(data, np.uint8))


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    padding=st.integers(0, 9),
    extra=st.integers(0, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_with_any_padding_gives_the_same_pixels(height, width, padding, extra, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    data, step = pad_rows(image, padding)
    pixels = rgb_from_raw(
        data + b"x" * extra,
        height=height,
        width=width,
        encoding="rgb8",
        step=step,
        is_bigendian=True,
    )
    np.testing.assert_array_equal(pixels, image)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoding": "32FC4"}, r"'32FC4' is not known: use one of mono8, .*nv21"),
        ({"encoding": ""}, r"'' is not known"),
        ({"step": 11}, r"rgb8 image of 4x2 pixels with step 11: a row takes 12 bytes"),
        ({"data": bytes(23)}, r"23 bytes of data where 24 are needed"),
        ({"data": b""}, r"0 bytes of data where 24 are needed"),
        ({"height": 0}, r"there are no pixels"),
        ({"width": 0}, r"there are no pixels"),
        ({"height": 2**31, "step": 2**31}, r"24 bytes of data where 4611686018427387904"),
        (
            {"height": 8000, "width": 8000, "step": 24000, "data": np.zeros(192_000_000, np.uint8)},
            "rgb8 image of 8000x8000 .* are too many; the limit is 50 million",
        ),
        ({"encoding": "uyvy", "width": 3}, r"uyvy image of 3x2 .* cannot be converted"),
    ],
)
def test_malformed_images_are_refused_with_what_and_fix(change, message):
    fields = {
        "data": bytes(24),
        "height": 2,
        "width": 4,
        "encoding": "rgb8",
        "step": 12,
        "is_bigendian": False,
    }
    with pytest.raises(ImageError, match=message):
        rgb_from_raw(**(fields | change))


@pytest.mark.parametrize("format", ["jpeg", "rgb8; jpeg compressed bgr8", "png", ""])
def test_compressed_pixels_are_those_of_the_file_whatever_the_format_says(corridor, format):
    path = corridor / "ref" / "0000003.jpg"
    data = array.array("B", path.read_bytes())
    np.testing.assert_array_equal(rgb_from_compressed(data, format, "x"), read_image(path))


def test_a_compressed_bayer_mosaic_becomes_colour(rgb):
    raw = mosaic(rgb, "grbg")
    data = cv2.imencode(".png", raw)[1].tobytes()
    pixels = rgb_from_compressed(data, "bayer_grbg8; png compressed ", "x")
    np.testing.assert_array_equal(pixels, convert(raw, "bayer_grbg8"))


def test_colour_made_from_bayer_before_compression_is_left_alone(rgb):
    data = cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes()
    pixels = rgb_from_compressed(data, "bayer_grbg8; png compressed bgr8", "x")
    np.testing.assert_array_equal(pixels, rgb)


@pytest.mark.parametrize(
    ("data", "format", "message"),
    [
        (b"", "jpeg", "/camera: .*empty"),
        (b"not an image", "png", "/camera: .*not an image"),
        (b"\x00" * 12, "16UC1; compressedDepth png", "/camera: .*is a depth image"),
    ],
)
def test_damaged_compressed_images_are_refused_by_source(data, format, message):
    with pytest.raises(ImageError, match=message):
        rgb_from_compressed(data, format, "/camera")


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (b"\0\0\0\x01\x67\x42" + bytes(99), "jpeg"),
        (b"\0\0\x01\x40" + bytes(99), ""),
        (b"\x12\0\x0a" + bytes(99), "av1"),
        (bytes(99), "H264"),
    ],
)
def test_video_is_told_from_damage(data, format):
    with pytest.raises(ImageError, match=r"/camera: this is video .*republish it as JPEG"):
        rgb_from_compressed(data, format, "/camera")


def test_the_limit_of_pixels_is_the_callers(rgb, corridor):
    height, width = rgb.shape[:2]
    fields = {"height": height, "width": width, "encoding": "rgb8", "step": 3 * width}
    with pytest.raises(ImageError, match=r"rgb8 image of .* are too many; the limit is 0.01"):
        rgb_from_raw(rgb.tobytes(), **fields, is_bigendian=False, max_pixels=10_000)
    data = cv2.imencode(".png", rgb)[1].tobytes()
    with pytest.raises(ImageError, match=r"/camera: .* are too many"):
        rgb_from_compressed(data, "png", "/camera", 10_000)
