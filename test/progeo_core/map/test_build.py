import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ImageError, ModelMismatchError, UsageError
from progeo_core.geo import Datum
from progeo_core.images.codec import decode_image, load_images
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.map.build import build_map
from progeo_core.map.place_features import PlaceFeatures, PlaceView, StructureNote
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import join_records, read_records


class FailingSource(FileSource):
    """Images that stop coming after some."""

    after = 0

    def images(self, needed_side=0):
        for number, image in enumerate(super().images()):
            if number == self.after:
                raise KeyboardInterrupt
            yield image

    def select(self, rows):
        return failing(self.records.select(rows), self.after)


def failing(records, after):
    source = FailingSource(records)
    object.__setattr__(source, "after", after)
    return source


def test_an_interrupted_first_transaction_leaves_no_file(corridor, small_encoder, tmp_path):
    records = read_records(corridor / "ref.csv").select(slice(0, 20))
    with pytest.raises(KeyboardInterrupt):
        build_map(tmp_path / "a.progeo", failing(records, 10), small_encoder)
    assert list(tmp_path.iterdir()) == []


def test_what_was_committed_stays_and_the_rest_can_be_appended(
    corridor, small_encoder, tmp_path, caplog
):
    # A second traverse of the same images makes enough for a transaction of 128 and some more.
    once = read_records(corridor / "ref.csv").select(slice(0, 80))
    path = tmp_path / "a.progeo"
    records = _doubled(once)
    with pytest.raises(KeyboardInterrupt):
        build_map(path, failing(records, 150), small_encoder)
    assert "128 places are safe; give the same command with --append" in caplog.text
    report = build_map(path, FileSource(records), small_encoder, append=True)
    assert report == (32, 128, (), 160, None)
    with PlaceMap.open(path) as place_map:
        table = place_map.places()
    assert sorted(zip(table.image, table.traverse, strict=True)) == sorted(
        zip(map(str, records.images), records.traverse, strict=True)
    )


def test_images_that_come_twice_are_one_place_each(corridor, small_encoder, tmp_path):
    once = read_records(corridor / "ref.csv").select(slice(0, 2))
    twice = FileSource(join_records([once, once]))
    report = build_map(tmp_path / "a.progeo", twice, small_encoder)
    assert (report.added, report.known, report.places) == (2, 2, 2)


def test_appending_to_a_map_that_fails_never_removes_it(corridor, small_encoder, tmp_path):
    records = read_records(corridor / "ref.csv")
    path = tmp_path / "a.progeo"
    build_map(path, FileSource(records.select(slice(0, 3))), small_encoder)
    with pytest.raises(KeyboardInterrupt):
        build_map(path, failing(records.select(slice(3, 9)), 2), small_encoder, append=True)
    with PlaceMap.open(path) as place_map:
        assert len(place_map) == 3


def test_only_unusable_images_are_an_error_and_leave_no_file(small_encoder, corridor, tmp_path):
    records = read_records(corridor / "ref.csv").select(slice(0, 2))

    class Unusable(FileSource):
        def images(self, needed_side=0):
            return iter([ImageError("one.jpg: bad"), ImageError("two.jpg: bad")])

        def select(self, rows):
            return Unusable(self.records.select(rows))

    with pytest.raises(DataError, match=r"none of 2 images can be used, first: one\.jpg: bad"):
        build_map(tmp_path / "a.progeo", Unusable(records), small_encoder)
    assert list(tmp_path.iterdir()) == []


def test_degrees_take_the_first_position_as_datum(corridor, small_encoder, tmp_path):
    images = [corridor / "ref" / f"{number:07d}.jpg" for number in range(3)]
    csv = tmp_path / "a.csv"
    rows = [f"{image},{48.0 + 1e-5 * row},11.0,500" for row, image in enumerate(images)]
    csv.write_text("\n".join(["image,lat_deg,lon_deg,alt_m", *rows]))
    report = build_map(tmp_path / "a.progeo", FileSource(read_records(csv)), small_encoder)
    assert report.datum == Datum(48.0, 11.0, 500.0)
    with PlaceMap.open(tmp_path / "a.progeo") as place_map:
        north = place_map.places().position[:, 1]
    np.testing.assert_allclose(north, [0.0, 1.11, 2.22], atol=0.01)


def test_a_map_is_never_replaced_without_append(filled_map, corridor, small_encoder):
    source = FileSource(read_records(corridor / "ref.csv"))
    with pytest.raises(UsageError, match="exists already: add to it with --append"):
        build_map(filled_map, source, small_encoder)


def _doubled(records):
    there = ("out",) * len(records), ("back",) * len(records)
    out = dataclasses.replace(records, traverse=there[0])
    back = dataclasses.replace(records, traverse=there[1], position=records.position + 1.0)
    return join_records([out, back])


class CoarseEncoder:
    """Describe an image by its 16 x 16 grey picture, which tells corridor images apart."""

    fingerprint = ModelFingerprint("coarse grey", 256, "16x16 area", "00" * 32)

    def encode(self, images):
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
        small = [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA) for image in grey]
        vectors = np.stack(small).reshape(len(images), -1).astype(np.float32)
        vectors -= vectors.mean(axis=1, keepdims=True)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class ListSource(FileSource):
    """Images that are in memory already."""

    kept = ()

    def images(self, needed_side=0):
        return iter(self.kept)

    def select(self, rows):
        return listed(self.records.select(rows), [self.kept[row] for row in rows])


def listed(records, kept):
    source = ListSource(records)
    object.__setattr__(source, "kept", kept)
    return source


@pytest.fixture(scope="module")
def reference(corridor):
    """Return the 111 records of the corridor's reference pass."""
    return read_records(corridor / "ref.csv").to_local(None)


def test_every_image_becomes_a_place(tmp_path, reference):
    steps: list[int] = []
    encoder = CoarseEncoder()
    path = str(tmp_path / "a.progeo")
    report = build_map(path, FileSource(reference), encoder, advance=steps.append)
    assert report == (111, 0, (), 111, None)
    assert sum(steps) == 111
    with PlaceMap.open(path) as new_map:
        table = new_map.places()
        np.testing.assert_array_equal(table.position, reference.position)
        np.testing.assert_array_equal(table.yaw_rad, reference.yaw_rad)
        np.testing.assert_array_equal(table.stamp_ns, reference.stamp_ns)
        assert table.traverse == reference.traverse
        assert table.image == tuple(map(str, reference.images))
        images = list(load_images(reference.images))
        found = PlaceIndex.open(new_map).search(encoder.encode(images), 1)
        np.testing.assert_array_equal(found.place_ids[:, 0], table.ids)
        picture = decode_image(new_map.thumbnail(table.ids[-1]) or b"", "thumbnail")
    assert max(picture.shape) <= 240


def test_bad_images_are_skipped_and_named(tmp_path, reference):
    few = reference.select(slice(0, 4))
    images = list(load_images(few.images))
    images[1] = ImageError("second.jpg: the image is truncated")
    report = build_map(tmp_path / "a.progeo", listed(few, images), CoarseEncoder())
    assert (report.added, report.skipped) == (3, ("second.jpg: the image is truncated",))
    with PlaceMap.open(tmp_path / "a.progeo") as new_map:
        np.testing.assert_array_equal(new_map.places().position, few.position[[0, 2, 3]])


def test_extending_a_map(tmp_path, reference):
    path = tmp_path / "a.progeo"
    for half in (slice(0, 60), slice(60, None)):
        source = FileSource(reference.select(half))
        build_map(path, source, CoarseEncoder(), append=half.start > 0)
    with PlaceMap.open(path) as new_map:
        np.testing.assert_array_equal(new_map.places().position, reference.position)


def test_map_of_another_model_is_refused(filled_map, reference):
    with pytest.raises(ModelMismatchError, match=r"made with tiny.* in use is coarse grey"):
        build_map(filled_map, FileSource(reference), CoarseEncoder(), append=True)


class CornerFinder:
    """Find one feature of every image: its first pixel, as far away as the depth says."""

    note = StructureNote("corner-1", "depth")
    image_side = 0

    def __init__(self):
        self.batches = []

    def find(self, images, depths, poses, intrinsics):
        self.batches.append(len(images))
        views = []
        for image, depth, pose, camera in zip(images, depths, poses, intrinsics, strict=True):
            landmark = np.full((1, 3), np.nan)
            if depth is not None and pose is not None and camera is not None:
                landmark = pose.to_map([[0.0, 0.0, depth[0, 0]]])
            size = image.shape[1], image.shape[0]
            descriptors = np.full((1, 64), image[0, 0, 0] // 2, np.int8)
            points, sigma_m = np.zeros((1, 2), np.float32), np.full(1, np.nan, np.float32)
            features = PlaceFeatures(points, descriptors, landmark, sigma_m, size)
            views.append(PlaceView(pose, camera, features))
        return views


class DepthSource(ListSource):
    """Images in memory whose depth in metres is the number of their row."""

    rows: Any = ()

    def depths(self):
        return iter([np.full((4, 4), row, np.float32) for row in self.rows])

    def select(self, rows):
        return deep(self, self.records.select(rows), [self.rows[row] for row in rows])


def deep(source, records, rows):
    chosen = DepthSource(records, calibration=source.calibration)
    object.__setattr__(chosen, "rows", rows)
    object.__setattr__(chosen, "kept", source.kept)
    return chosen


def test_views_are_found_and_kept_with_their_places(tmp_path, reference):
    few = dataclasses.replace(reference.select(slice(0, 40)), orientation=np.full((40, 4), 0.5))
    few.orientation[3] = np.nan
    images = list(load_images(few.images))
    images[1] = ImageError("second.jpg: the image is truncated")
    camera = Intrinsics(160, 120, 100.0, 100.0, 80.0, 60.0)
    source = DepthSource(few, calibration=camera)
    object.__setattr__(source, "kept", images)
    object.__setattr__(source, "rows", range(40))
    finder = CornerFinder()
    path = tmp_path / "a.progeo"
    report = build_map(path, source, CoarseEncoder(), structure=finder)
    assert (report.added, len(report.skipped)) == (39, 1)
    # Memory holds no more than a batch of images.
    assert finder.batches == [15, 16, 8]
    with PlaceMap.open(path) as new_map:
        table = new_map.places()
        views = new_map.views(table.ids)
        assert new_map.structure == StructureNote("corner-1", "depth")
        new_map.verify()
    for place, name, view in zip(table.position, table.image, views, strict=True):
        row = few.images.index(Path(name))
        assert view.features.descriptors[0, 0] == images[row][0, 0, 0] // 2
        assert view.features.size == (160, 120)
        assert view.intrinsics == camera
        if row == 3:
            assert view.pose is None
            assert np.isnan(view.features.landmarks).all()
        else:
            # Half of each axis turns z forward to x.
            np.testing.assert_allclose(
                view.features.landmarks[0], place + np.array([row, 0, 0]), atol=1e-4
            )


def test_views_of_another_extractor_are_not_mixed_in(tmp_path, reference):
    few = reference.select(slice(0, 3))
    source = listed(few, list(load_images(few.images)))
    path = tmp_path / "a.progeo"
    build_map(path, source, CoarseEncoder(), structure=CornerFinder())
    other = CornerFinder()
    other.note = StructureNote("edge-1", "depth")
    with pytest.raises(
        UsageError, match=r"a\.progeo: .* corner-1 and of edge-1 cannot be compared"
    ):
        build_map(path, source, CoarseEncoder(), append=True, structure=other)
    assert other.batches == []
