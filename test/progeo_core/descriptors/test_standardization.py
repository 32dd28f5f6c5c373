import cv2
import numpy as np
import pytest

from progeo_core.descriptors.standardization import RunningStandardization, Standardization
from progeo_core.images.codec import load_images
from progeo_core.records.records import read_records


def crowded(count=50, seed=0):
    """Descriptors of one building: much alike, with small differences of their own."""
    rng = np.random.default_rng(seed)
    vectors = 1.0 + 0.1 * rng.normal(size=(count, 64))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_crowded_descriptors_become_unlike_each_other():
    descriptors = crowded()
    views = Standardization.of_descriptors(descriptors).apply(descriptors)
    others = ~np.eye(len(views), dtype=bool)
    assert (descriptors @ descriptors.T)[others].min() > 0.95
    assert abs((views @ views.T)[others].mean()) < 0.05


def test_images_foreign_to_the_map_are_less_alike_than_their_direction_says():
    descriptors = crowded()
    contrast = Standardization.of_descriptors(descriptors)
    foreign = descriptors[0] + 2.0 * (descriptors[0] - contrast.mean)
    own, far = contrast.apply(np.stack([descriptors[0], foreign]))
    assert np.linalg.norm(own) > 0.8
    assert np.linalg.norm(far) < 0.5


def test_map_of_one_place_or_of_equal_images_is_finite_and_alike_to_nothing():
    for descriptors in (crowded(1), np.repeat(crowded(1), 5, axis=0)):
        views = Standardization.of_descriptors(descriptors).apply(descriptors)
        assert np.isfinite(views).all()
        assert np.abs(views @ views.T).max() < 0.1


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


def dense_similarity(views, places):
    return float(np.mean(np.sum(views * places, axis=1)))


def test_drive_in_another_light_looks_more_like_its_places(campus):
    places, drive = describe(campus), describe(campus, SHADE)
    contrast = Standardization.of_descriptors(places)
    own, along = contrast.apply(places), RunningStandardization(contrast)
    views = []
    for descriptor in drive:
        views.append(along.view(descriptor))
        along.add(descriptor)
    plain = contrast.apply(drive)
    assert (
        dense_similarity(np.stack(views)[30:], own[30:])
        > dense_similarity(plain[30:], own[30:]) + 0.05
    )


def test_first_image_is_compared_as_by_the_map_alone(campus):
    descriptors = describe(campus)
    contrast = Standardization.of_descriptors(descriptors)
    view = RunningStandardization(contrast).view(descriptors[7])
    np.testing.assert_array_equal(view, contrast.apply(descriptors[7:8])[0])


def test_one_image_moves_the_contrast_little(campus):
    descriptors = describe(campus)
    contrast = Standardization.of_descriptors(descriptors)
    along = RunningStandardization(contrast)
    before = along.view(descriptors[7])
    along.add(descriptors[7])
    assert float(along.view(descriptors[7]) @ before) > 0.95 * float(before @ before)
