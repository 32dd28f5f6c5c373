import cv2
import numpy as np
import pytest

from progeo_core.descriptors.standardization import RunningStandardization, Standardization
from progeo_core.images.codec import load_images
from progeo_core.records.records import read_records


def crowded(count=50, seed=0):
    """Descriptors of one building: very similar, with small differences of their own."""
    rng = np.random.default_rng(seed)
    vectors = 1.0 + 0.1 * rng.normal(size=(count, 64))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_crowded_descriptors_stop_being_similar():
    descriptors = crowded()
    standardized = Standardization.of_descriptors(descriptors).apply(descriptors)
    others = ~np.eye(len(standardized), dtype=bool)
    assert (descriptors @ descriptors.T)[others].min() > 0.95
    assert abs((standardized @ standardized.T)[others].mean()) < 0.05


def test_images_foreign_to_the_map_are_less_similar_than_their_direction_says():
    descriptors = crowded()
    standardization = Standardization.of_descriptors(descriptors)
    foreign = descriptors[0] + 2.0 * (descriptors[0] - standardization.mean)
    own, far = standardization.apply(np.stack([descriptors[0], foreign]))
    assert np.linalg.norm(own) > 0.8
    assert np.linalg.norm(far) < 0.5


def test_map_of_one_place_or_of_equal_images_is_finite_and_similar_to_nothing():
    for descriptors in (crowded(1), np.repeat(crowded(1), 5, axis=0)):
        standardized = Standardization.of_descriptors(descriptors).apply(descriptors)
        assert np.isfinite(standardized).all()
        assert np.abs(standardized @ standardized.T).max() < 0.1


SHADE = np.linspace(0.3, 1.2, 16, dtype=np.float32)


def describe(images, shade=1.0):
    """Describe real images by their 16x16 grey pictures, as lit from one side."""
    greys = [cv2.cvtColor(cv2.resize(image, (16, 16)), cv2.COLOR_RGB2GRAY) for image in images]
    pictures = np.stack(greys).astype(np.float32) * shade + 1.0
    rows = pictures.reshape(len(images), -1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def campus(campus_loop):
    return list(load_images(read_records(campus_loop / "records.csv").images))


def dense_similarity(standardized, places):
    return float(np.mean(np.sum(standardized * places, axis=1)))


def test_traverse_in_another_light_looks_more_like_its_places(campus):
    places, traverse = describe(campus), describe(campus, SHADE)
    standardization = Standardization.of_descriptors(places)
    own, along = standardization.apply(places), RunningStandardization(standardization)
    standardized = []
    for descriptor in traverse:
        standardized.append(along.view(descriptor))
        along.add(descriptor)
    plain = standardization.apply(traverse)
    assert (
        dense_similarity(np.stack(standardized)[30:], own[30:])
        > dense_similarity(plain[30:], own[30:]) + 0.05
    )


def test_first_image_is_compared_as_by_the_map_alone(campus):
    descriptors = describe(campus)
    standardization = Standardization.of_descriptors(descriptors)
    first = RunningStandardization(standardization).view(descriptors[7])
    np.testing.assert_array_equal(first, standardization.apply(descriptors[7:8])[0])


def test_stored_descriptors_are_measured_in_float32():
    stored = crowded().astype(np.float16)
    ours = Standardization.of_descriptors(stored)
    expected = Standardization.of_descriptors(stored.astype(np.float32))
    np.testing.assert_array_equal(ours.mean, expected.mean)
    np.testing.assert_array_equal(ours.spread, expected.spread)
    assert ours.length == expected.length


def test_one_image_moves_the_standardization_little(campus):
    descriptors = describe(campus)
    standardization = Standardization.of_descriptors(descriptors)
    along = RunningStandardization(standardization)
    before = along.view(descriptors[7])
    along.add(descriptors[7])
    assert float(along.view(descriptors[7]) @ before) > 0.95 * float(before @ before)
