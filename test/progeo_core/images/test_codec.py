import contextlib
import io
import itertools
import os
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps
import PIL.PngImagePlugin
import pytest

from progeo_core.errors import ImageError
from progeo_core.images.codec import (
    decode_image,
    encode_jpeg,
    load_images,
    make_thumbnail,
    read_image,
)
from test.progeo_core.images import bombs

PIL.Image.init()
AVIF = pytest.param(
    "AVIF",
    marks=pytest.mark.skipif("AVIF" not in PIL.Image.SAVE, reason="this Pillow has no AVIF (11.3)"),
)
PHOTOS = sorted((Path(__file__).parents[2] / "data/rtabmap_corridor_loop/images").glob("*.jpg"))


@pytest.fixture(scope="module")
def photo():
    with PIL.Image.open(PHOTOS[0]) as image:
        return image.convert("RGB")


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def as_array(data):
    """What Pillow, an independent decoder, sees."""
    return np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))).convert("RGB"))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_decodes_as_another_decoder_does(photo, form):
    data = encoded(photo, form)
    image = decode_image(data, "photo")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, as_array(data))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_takes_any_kind_of_bytes(photo, kind):
    assert decode_image(kind(encoded(photo, "PNG")), "photo").shape == (384, 512, 3)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA"])
def test_every_kind_of_png_becomes_rgb(photo, mode):
    data = encoded(photo.convert(mode), "PNG")
    np.testing.assert_array_equal(decode_image(data, "photo"), as_array(data))


def test_progressive_and_grey_jpeg(photo):
    for data in (encoded(photo, "JPEG", progressive=True), encoded(photo.convert("L"), "JPEG")):
        np.testing.assert_array_equal(decode_image(data, "photo"), as_array(data))


def test_cmyk_jpeg_keeps_its_colours(photo):
    data = encoded(photo.convert("CMYK"), "JPEG", quality=95)
    error = np.abs(decode_image(data, "photo").astype(int) - np.asarray(photo))
    assert error.mean() < 2.0


@pytest.mark.parametrize(("channels", "step"), [(1, 4.0), (3, 1.0)])
@pytest.mark.parametrize("form", [".png", ".tiff"])
def test_sixteen_bits_are_scaled_to_eight(form, channels, step):
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    data = cv2.imencode(form, np.dstack([ramp] * channels))[1].tobytes()
    image = decode_image(data, "ramp")
    assert image.dtype == np.uint8
    # Grey loses its darkest and its brightest percent.
    assert np.abs(image - (ramp / 257.0)[..., None]).max() <= step


@pytest.mark.parametrize("form", [".png", ".tiff"])
def test_a_thermal_file_is_seen_whole(form):
    scene = (7200 + np.arange(4096).reshape(64, 64) % 1000).astype(np.uint16)
    image = decode_image(cv2.imencode(form, scene)[1].tobytes(), "thermal")
    assert len(np.unique(image)) > 200


def test_pixels_of_32_bits_are_refused():
    data = cv2.imencode(".tiff", np.ones((8, 8), np.float32))[1].tobytes()
    with pytest.raises(ImageError, match="depth: pixels of 32 bits are not read; convert"):
        decode_image(data, "depth")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(photo, form, orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo, form, exif=exif)
    np.testing.assert_array_equal(decode_image(data, "photo"), as_array(data))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_truncated_images_are_refused(photo, form, share):
    data = encoded(photo, form)
    with pytest.raises(ImageError, match="photo 7"):
        decode_image(data[: int(len(data) * share)], "photo 7")


def test_a_thumbnails_end_does_not_pass_for_the_images_end(photo):
    thumbnail = make_thumbnail(np.asarray(photo), 64)
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = encoded(photo, "JPEG")
    with_thumbnail = data[:2] + segment + data[2:]
    assert decode_image(with_thumbnail, "photo").shape == (384, 512, 3)
    with pytest.raises(ImageError, match=r"photo: the image is truncated after \d+ bytes"):
        decode_image(with_thumbnail[:-500], "photo")


def test_a_tail_of_zeros_does_not_complete_an_image(photo):
    data = encoded(photo, "JPEG")
    half = data[: len(data) // 2] + bytes(len(data) // 2)
    with pytest.raises(ImageError, match="truncated"):
        decode_image(half, "photo")


def test_bytes_after_the_end_do_no_harm(photo):
    data = encoded(photo, "JPEG")
    np.testing.assert_array_equal(decode_image(data + b"a video follows", "p"), as_array(data))


def test_a_damaged_png_is_refused(photo):
    data = bytearray(encoded(photo, "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match=r"photo: .*damaged"):
        decode_image(data, "photo")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("tail", [b"", bytes(5000)])
def test_only_the_end_marker_may_be_missing(photo, caplog, progressive, tail):
    data = encoded(photo, "JPEG", progressive=progressive)
    image = decode_image(data[:-2] + tail, "/camera")
    np.testing.assert_array_equal(image, as_array(data))
    with pytest.raises(ImageError, match="truncated"):
        decode_image(data[:-200] + tail, "/camera")


def test_missing_end_markers_are_counted(photo, caplog, monkeypatch):
    monkeypatch.setattr("progeo_core.images.opencv_decoder._without_end", itertools.count(1))
    for number in range(25):
        decode_image(encoded(photo.resize((64, 48)), "JPEG")[:-2], f"{number}.jpg")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "9.jpg: the JPEG lacks its end marker; it is read" in said[1]
    assert "(10 such images so far)" in said[1]


@pytest.mark.slow
def test_a_phone_photo_of_200_million_pixels_is_read_at_half_its_size(tmp_path):
    path = tmp_path / "phone.jpg"
    path.write_bytes(bombs.sequential_jpeg(14_140))
    assert read_image(path).shape == (7070, 7070, 3)


def test_a_progressive_photo_over_the_limit_is_refused(photo):
    data = encoded(photo, "JPEG", progressive=True)
    assert decode_image(encoded(photo, "JPEG"), "p", max_pixels=50_000).shape == (192, 256, 3)
    with pytest.raises(ImageError, match="p: 512x384 pixels are too many"):
        decode_image(data, "p", max_pixels=50_000)


def test_a_png_is_read_without_what_only_pictures_for_people_need(photo, capfd):
    info = PIL.PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 1000, zip=True)
    frames = [photo.rotate(10)]
    data = encoded(
        photo, "PNG", pnginfo=info, save_all=True, append_images=frames, icc_profile=b"x"
    )
    np.testing.assert_array_equal(decode_image(data, "photo"), np.asarray(photo))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("form", [AVIF, "JPEG2000", "GIF", "PPM"])
def test_other_formats_and_their_damage(photo, form):
    data = encoded(photo, form)
    np.testing.assert_array_equal(decode_image(data, "photo"), as_array(data))
    for share in (0.05, 0.5):
        with pytest.raises(ImageError, match="photo"):
            decode_image(data[: int(len(data) * share)], "photo")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", AVIF, "JPEG2000", "GIF"])
def test_flipped_bytes_give_an_image_or_a_refusal(photo, form):
    data = encoded(photo.resize((40, 30)), form)
    rng = np.random.default_rng(3)
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, min(len(data), 400), 3):
            damaged[place] = rng.choice((0, 255, 127, 128, int(rng.integers(256))))
        with contextlib.suppress(ImageError):
            assert decode_image(bytes(damaged), "photo").ndim == 3


def test_heic_needs_its_package(photo):
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(photo).save(buffer, quality=-1)
    error = np.abs(decode_image(buffer.getvalue(), "photo").astype(int) - np.asarray(photo))
    assert error.mean() < 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", r"topic: the image is empty \(0 bytes\)"),
        (b"\0" * 1000, r"topic: not an image, or one of an unknown kind"),
        (b"image,x_m,y_m\n", "topic: not an image"),
        (b"\xff\xd8", "topic: the image is truncated after 2 bytes"),
    ],
)
def test_what_is_no_image_is_refused(data, words):
    with pytest.raises(ImageError, match=words):
        decode_image(data, "topic")


def test_refusals_print_nothing_of_their_own(photo, capfd):
    with pytest.raises(ImageError):
        decode_image(encoded(photo, "WEBP")[:2000], "photo")
    assert capfd.readouterr() == ("", "")


def test_read_image_names_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg: the image cannot be read \(No such file"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path)


def test_load_images_keeps_order_and_tells_what_it_could_not_read(tmp_path):
    empty = tmp_path / "empty.jpg"
    empty.touch()
    paths = [*PHOTOS[:5], empty, *PHOTOS[5:9]]
    loaded = list(load_images(paths))
    assert len(loaded) == len(paths)
    assert isinstance(loaded[5], ImageError)
    assert str(empty) in str(loaded[5])
    for path, image in zip(paths[:5] + paths[6:], loaded[:5] + loaded[6:], strict=True):
        np.testing.assert_array_equal(image, read_image(path))


def test_load_images_of_nothing():
    assert list(load_images([])) == []


def loader_threads():
    return [thread for thread in threading.enumerate() if "prefetch" in thread.name]


def test_load_images_looks_ahead_no_further_than_memory_allows():
    taken = []

    def endless():
        for path in itertools.cycle(PHOTOS):
            taken.append(path)
            yield path

    images: Any = load_images(endless())
    for _ in range(10):
        next(images)
    assert len(taken) <= 10 + 2 * (os.cpu_count() or 1)
    images.close()
    assert loader_threads() == []


def test_load_images_stops_its_threads_when_its_consumer_fails():
    with pytest.raises(ZeroDivisionError):  # noqa: PT012, the failure comes out of the loop
        for _ in load_images(PHOTOS):
            raise ZeroDivisionError
    assert loader_threads() == []


def test_encode_jpeg_keeps_colours():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    assert np.abs(decode_image(encode_jpeg(red), "red").astype(int) - red).max() < 8


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((480, 640), (180, 240)),
        ((640, 480), (240, 180)),
        ((50, 40), (50, 40)),
        ((1, 900), (1, 240)),
    ],
)
def test_thumbnails_shrink_and_never_grow(shape, expected):
    image = np.full((*shape, 3), 127, np.uint8)
    assert decode_image(make_thumbnail(image), "thumbnail").shape[:2] == expected


@pytest.mark.parametrize(("side", "shape"), [(0, (480, 640)), (190, (240, 320)), (390, (480, 640))])
def test_a_large_jpeg_comes_smaller_where_that_suffices(side, shape):
    smooth = np.add.outer(np.arange(480), np.arange(640)) / 1120 * 255
    data = encode_jpeg(np.repeat(smooth.astype(np.uint8)[..., None], 3, axis=2))
    image = decode_image(data, "smooth", side)
    assert image.shape[:2] == shape
    assert abs(float(image.mean()) - float(decode_image(data, "smooth").mean())) < 1.0


def test_only_a_jpeg_comes_smaller(photo):
    assert decode_image(encoded(photo, "PNG"), "photo", 10).shape == (384, 512, 3)
    assert decode_image(encoded(photo, "JPEG"), "photo", 10).shape == (48, 64, 3)
