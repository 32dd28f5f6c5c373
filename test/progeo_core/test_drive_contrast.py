import cv2
import numpy as np
import pytest

from progeo_core.descriptor_contrast import DescriptorContrast
from progeo_core.drive_contrast import DriveContrast
from progeo_core.images import load_images
from progeo_core.records import read_records

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


def likeness(views, places):
    return float(np.mean(np.sum(views * places, axis=1)))


def test_drive_in_another_light_looks_more_like_its_places(campus):
    places, drive = describe(campus), describe(campus, SHADE)
    contrast = DescriptorContrast.of_descriptors(places)
    own, along = contrast.apply(places), DriveContrast(contrast)
    views = []
    for descriptor in drive:
        views.append(along.view(descriptor))
        along.add(descriptor)
    plain = contrast.apply(drive)
    assert likeness(np.stack(views)[30:], own[30:]) > likeness(plain[30:], own[30:]) + 0.05


def test_first_image_is_compared_as_by_the_map_alone(campus):
    descriptors = describe(campus)
    contrast = DescriptorContrast.of_descriptors(descriptors)
    view = DriveContrast(contrast).view(descriptors[7])
    np.testing.assert_array_equal(view, contrast.apply(descriptors[7:8])[0])


def test_one_image_moves_the_contrast_little(campus):
    descriptors = describe(campus)
    contrast = DescriptorContrast.of_descriptors(descriptors)
    along = DriveContrast(contrast)
    before = along.view(descriptors[7])
    along.add(descriptors[7])
    assert float(along.view(descriptors[7]) @ before) > 0.95 * float(before @ before)
