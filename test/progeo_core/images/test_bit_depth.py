"""Cameras of more than 8 bits, whose samples fill 16 bits by a part only."""

import logging

import cv2
import numpy as np
import pytest

from progeo_core.images import bit_depth
from progeo_core.images.bit_depth import rgb8_from_any_depth
from progeo_core.images.codec import read_image
from progeo_core.records.records import read_records

# The darkest and the brightest value of each sensor.
SENSORS = {
    "10 bits": (0, 1023),
    "12 bits": (0, 4095),
    "14 bits": (0, 16383),
    "thermal": (7200, 8700),
}


def seen_by(sensor, grey):
    low, high = SENSORS[sensor]
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, grey.shape)
    share = np.clip((grey + noise) / 255.0, 0.0, 1.0)
    return np.round(low + share * (high - low)).astype(np.uint16)


def greys(csv):
    records = read_records(csv).select(slice(0, None, 2))
    images = [cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY) for path in records.images]
    return records.position[:, 0], images


@pytest.mark.slow
def test_the_corridor_is_found_as_well_with_any_sensor(corridor, small_encoder):
    places, reference = greys(corridor / "ref.csv")
    truth, queries = greys(corridor / "query.csv")

    def recall(images, others):
        one, two = (
            small_encoder.encode([rgb8_from_any_depth(image) for image in part])
            for part in (images, others)
        )
        return np.mean(np.abs(places[(two @ one.T).argmax(axis=1)] - truth) <= 2)

    eight_bits = recall(reference, queries)
    for sensor in SENSORS:
        found = recall(*([seen_by(sensor, grey) for grey in part] for part in (reference, queries)))
        assert found >= eight_bits - 0.06, sensor


@pytest.mark.parametrize("sensor", SENSORS)
def test_grey_keeps_its_levels(corridor, sensor):
    grey = cv2.cvtColor(read_image(corridor / "ref" / "0000003.jpg"), cv2.COLOR_RGB2GRAY)
    pixels = rgb8_from_any_depth(seen_by(sensor, grey))
    assert len(np.unique(pixels)) > 200
    assert np.corrcoef(pixels[:, :, 0].ravel(), grey.ravel())[0, 1] > 0.99


def test_an_image_is_judged_by_itself_alone(corridor):
    grey = cv2.cvtColor(read_image(corridor / "ref" / "0000003.jpg"), cv2.COLOR_RGB2GRAY)
    first = rgb8_from_any_depth(seen_by("12 bits", grey))
    rgb8_from_any_depth(seen_by("thermal", grey))
    np.testing.assert_array_equal(rgb8_from_any_depth(seen_by("12 bits", grey)), first)


def test_a_dead_pixel_and_a_lens_cap_are_no_range():
    scene = np.tile(np.arange(1000, 2000, 10, dtype=np.uint16), (100, 1))
    scene[50, 50] = 65535
    assert rgb8_from_any_depth(scene)[0].max() == 255
    noise = np.random.default_rng(0).integers(500, 504, (100, 100), np.uint16)
    assert rgb8_from_any_depth(noise).max() < 20


@pytest.mark.parametrize("highest", [1023, 4095, 16383, 65535])
def test_colours_keep_their_hue(highest):
    colours = np.zeros((4, 4, 3), np.uint16)
    colours[..., 0], colours[..., 1] = highest, highest // 2
    pixels = rgb8_from_any_depth(colours)
    assert pixels[0, 0].tolist() == [255, 127, 0]


def test_the_log_says_it_once(caplog):
    bit_depth._log_once.cache_clear()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            rgb8_from_any_depth(np.arange(10_000, dtype=np.uint16).reshape(100, 100))
    assert [record.getMessage() for record in caplog.records] == [
        "grey images of 16 bits are stretched to 8 bits by the range that each uses"
    ]
