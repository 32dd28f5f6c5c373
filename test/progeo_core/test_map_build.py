import cv2
import numpy as np
import pytest

from progeo_core.errors import DataError, ImageError, ModelMismatchError, UsageError
from progeo_core.fingerprint import ModelFingerprint
from progeo_core.geo import Datum
from progeo_core.images import decode_image, load_images
from progeo_core.map_build import build_map
from progeo_core.place_index import PlaceIndex
from progeo_core.place_map import PlaceMap
from progeo_core.records import read_records


class CoarseEncoder:
    """Describe an image by its 16 x 16 grey picture, which tells corridor images apart."""

    fingerprint = ModelFingerprint("coarse grey", 256, "16x16 area", "00" * 32)

    def encode(self, images):
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
        small = [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA) for image in grey]
        vectors = np.stack(small).reshape(len(images), -1).astype(np.float32)
        vectors -= vectors.mean(axis=1, keepdims=True)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def reference(corridor):
    """Return the 111 records of the corridor's reference pass."""
    return read_records(corridor / "ref.csv").to_local(None)


@pytest.fixture
def new_map(tmp_path):
    with PlaceMap.create(tmp_path / "a.progeo", CoarseEncoder.fingerprint) as place_map:
        yield place_map


def test_every_image_becomes_a_place(new_map, reference):
    steps = []
    encoder = CoarseEncoder()
    report = build_map(
        new_map, reference, load_images(reference.images), encoder, advance=steps.append
    )
    assert report == (111, ())
    assert sum(steps) == 111
    table = new_map.places()
    np.testing.assert_array_equal(table.position, reference.position)
    np.testing.assert_array_equal(table.yaw_rad, reference.yaw_rad)
    np.testing.assert_array_equal(table.stamp_ns, reference.stamp_ns)
    assert table.traverse == reference.traverse
    assert table.image == tuple(map(str, reference.images))
    found = PlaceIndex.open(new_map).search(encoder.encode(list(load_images(reference.images))), 1)
    np.testing.assert_array_equal(found.place_ids[:, 0], table.ids)
    picture = decode_image(new_map.thumbnail(table.ids[-1]), "thumbnail")
    assert max(picture.shape) <= 240


def test_bad_images_are_skipped_and_named(new_map, reference):
    few = reference.select(slice(0, 4))
    images = list(load_images(few.images))
    images[1] = ImageError("second.jpg: the image is truncated")
    report = build_map(new_map, few, images, CoarseEncoder())
    assert report == (3, ("second.jpg: the image is truncated",))
    np.testing.assert_array_equal(new_map.places().position, few.position[[0, 2, 3]])


def test_no_usable_image_at_all(new_map, reference):
    few = reference.select(slice(0, 2))
    with pytest.raises(DataError, match=r"none of 2 images can be used, first: broken 0"):
        build_map(new_map, few, [ImageError(f"broken {i}") for i in range(2)], CoarseEncoder())
    assert build_map(new_map, few.select(slice(0, 0)), [], CoarseEncoder()) == (0, ())


def test_interrupted_build_keeps_whole_transactions(new_map, reference):
    def images():
        for _ in range(3):
            yield from load_images(reference.images)

    def interrupt(count):
        nonlocal seen
        seen += count
        if seen == 300:
            raise KeyboardInterrupt

    seen = 0
    thrice = reference.select(np.tile(np.arange(111), 3))
    with pytest.raises(KeyboardInterrupt):
        build_map(new_map, thrice, images(), CoarseEncoder(), advance=interrupt)
    assert len(new_map) == 256
    new_map.verify()


def test_extending_a_map(new_map, reference):
    for half in (slice(0, 60), slice(60, None)):
        part = reference.select(half)
        build_map(new_map, part, load_images(part.images), CoarseEncoder())
    np.testing.assert_array_equal(new_map.places().position, reference.position)


def test_map_of_another_model_is_refused(tmp_path, fingerprint, reference):
    with (
        PlaceMap.create(tmp_path / "b.progeo", fingerprint) as place_map,
        pytest.raises(ModelMismatchError, match=r"made with tiny.* in use is coarse grey"),
    ):
        build_map(place_map, reference, load_images(reference.images), CoarseEncoder())


def test_positions_must_be_metres(tmp_path):
    csv = tmp_path / "records.csv"
    (tmp_path / "a.jpg").touch()
    csv.write_text("image,lat_deg,lon_deg\na.jpg,48,11\n")
    records = read_records(csv)
    datum = Datum(48.0, 11.0)
    with (
        PlaceMap.create(tmp_path / "b.progeo", CoarseEncoder.fingerprint, datum) as place_map,
        pytest.raises(UsageError, match="turn them into metres first"),
    ):
        build_map(place_map, records, [], CoarseEncoder())
