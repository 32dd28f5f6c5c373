import contextlib
import math
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from progeo_core.errors import ImageError
from progeo_core.records.exif import read_photo_tags
from test.progeo_core.images import bombs

PHOTO = Path(__file__).parents[2] / "data/rtabmap_corridor_loop/images/1.jpg"
GPS_IFD, EXIF_IFD = 0x8825, 0x8769
SOUTH_WEST = {
    1: "S",
    2: (33.0, 51.0, 24.5),
    3: "W",
    4: (70.0, 30.0, 0.0),
    5: b"\x00",
    6: 519.25,
    16: "T",
    17: 123.5,
}


@pytest.fixture
def tagged(tmp_path):
    def write(gps=None, details=None, suffix=".jpg"):
        exif = PIL.Image.Exif()
        exif[0x010F] = "camera maker"  # PNG keeps no tags where the main ones are none
        exif.get_ifd(GPS_IFD).update(gps or {})
        exif.get_ifd(EXIF_IFD).update(details or {})
        path = tmp_path / f"photo{suffix}"
        with PIL.Image.open(PHOTO) as image:
            image.save(path, exif=exif)
        return path

    return write


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_reads_where_a_photo_was_taken(tagged, suffix):
    tags = read_photo_tags(tagged(SOUTH_WEST, suffix=suffix))
    assert tags.lat_deg == pytest.approx(-(33 + 51 / 60 + 24.5 / 3600), abs=1e-7)
    assert tags.lon_deg == pytest.approx(-70.5, abs=1e-7)
    assert tags.alt_m == pytest.approx(519.25)
    assert tags.heading_deg == pytest.approx(123.5)
    assert tags.stamp_ns == 0


def test_north_and_east_are_positive(tagged):
    tags = read_photo_tags(tagged({**SOUTH_WEST, 1: "N", 3: "E"}))
    assert tags.lat_deg > 0
    assert tags.lon_deg > 0


def test_altitude_may_be_below_the_sea(tagged):
    assert read_photo_tags(tagged({**SOUTH_WEST, 5: b"\x01"})).alt_m == pytest.approx(-519.25)


def test_a_magnetic_heading_is_unknown(tagged):
    assert read_photo_tags(tagged({**SOUTH_WEST, 16: "M"})).heading_deg == pytest.approx(
        math.nan, nan_ok=True
    )


@pytest.mark.parametrize("missing", [1, 2])
def test_half_a_latitude_is_unknown(tagged, missing):
    tags = read_photo_tags(tagged({key: SOUTH_WEST[key] for key in SOUTH_WEST if key != missing}))
    assert math.isnan(tags.lat_deg)
    assert math.isnan(tags.lon_deg)
    name = {1: "GPSLatitudeRef", 2: "GPSLatitude"}[missing]
    assert tags.position_problem == f"no GPS position in its EXIF tags: {name} missing"


def test_no_tags_at_all():
    tags = read_photo_tags(PHOTO)
    assert np.isnan(tags[:4]).all()
    assert tags.position_problem == "no GPS position in its EXIF tags"
    assert tags.stamp_ns == 0


@pytest.mark.parametrize(
    ("details", "stamp_ns"),
    [
        ({0x9003: "2013:07:04 10:11:12"}, 1_372_932_672_000_000_000),
        ({0x9003: "2013:07:04 10:11:12", 0x9291: "25"}, 1_372_932_672_250_000_000),
        ({0x9003: "2013:07:04 10:11:12", 0x9011: "+02:00"}, 1_372_925_472_000_000_000),
        ({0x9003: "0000:00:00 00:00:00"}, 0),
        ({0x9003: "yesterday"}, 0),
        ({0x9003: "2300:01:01 00:00:00"}, 0),
        ({0x9003: "0001:01:01 00:00:00"}, 0),
        ({0x9003: "2013:07:04 10:11:12", 0x9291: "1²"}, 1_372_932_672_000_000_000),
        ({0x9003: "2013:07:04 10:11:12", 0x9291: "9" * 5000}, 1_372_932_672_999_999_999),
    ],
)
def test_time_of_exposure(tagged, details, stamp_ns):
    assert read_photo_tags(tagged(details=details)).stamp_ns == stamp_ns


def test_what_is_no_image_is_refused(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(ImageError, match=r"empty\.jpg: not an image"):
        read_photo_tags(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({9: "V"}, "the receiver had no fix"),
        ({2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}, "S, (0.0, 0.0, 0.0), W, (0.0, 0.0, 0.0)"),
        ({2: (95.0, 0.0, 0.0)}, "S, (95.0, 0.0, 0.0), W, (70.0, 30.0, 0.0) is no place"),
        ({1: "?"}, "?, (33.0, 51.0, 24.5), W"),
    ],
)
def test_a_receiver_without_a_fix_has_no_position(tagged, change, words):
    tags = read_photo_tags(tagged(SOUTH_WEST | change))
    assert math.isnan(tags.lat_deg)
    assert math.isnan(tags.lon_deg)
    assert tags.heading_deg == pytest.approx(123.5)
    assert words in tags.position_problem


def test_a_void_altitude_is_unknown(tagged):
    assert math.isnan(read_photo_tags(tagged({**SOUTH_WEST, 5: b"\x01", 6: 9999.0})).alt_m)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_flipped_bytes_give_tags_or_a_refusal(tagged, suffix, tmp_path):
    details = {0x9003: "2013:07:04 10:11:12", 0x9291: "25"}
    data = tagged(SOUTH_WEST, details, suffix).read_bytes()
    rng = np.random.default_rng(1)
    odd = tmp_path / f"odd{suffix}"
    for _ in range(60):
        damaged = bytearray(data[: rng.integers(100, len(data))])
        for place in rng.integers(0, min(len(damaged), 600), 4):
            damaged[place] = rng.choice([0, 255, int(rng.integers(256))])
        odd.write_bytes(damaged)
        with contextlib.suppress(ImageError):
            assert read_photo_tags(odd).stamp_ns >= 0


def test_a_photo_of_any_size_has_tags(tmp_path):
    path = tmp_path / "phone.jpg"
    exif = PIL.Image.Exif()
    exif.get_ifd(GPS_IFD).update(SOUTH_WEST)
    large = bombs.sequential_jpeg(20_000, truncated=True)
    tags = exif.tobytes()
    path.write_bytes(
        large[:2] + b"\xff\xe1" + (len(tags) + 2).to_bytes(2, "big") + tags + large[2:]
    )
    assert read_photo_tags(path).lon_deg == pytest.approx(-70.5)


def test_a_damaged_avif_is_refused_by_name(tagged):
    path = tagged(SOUTH_WEST, suffix=".avif")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ImageError, match=r"photo\.avif: the image is damaged"):
        read_photo_tags(path)
