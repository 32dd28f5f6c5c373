import dataclasses
import shutil

import numpy as np
import pytest

from progeo_core.errors import UsageError
from progeo_core.images.calibration_file import read_calibration
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.map.build import build_map
from progeo_core.map.place_features import StructureNote
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import FileSource, source_of_records
from progeo_core.verification.map_views import complete_views
from progeo_core.verification.view_finder import DepthViewFinder


@pytest.fixture(scope="module")
def extractor():
    return FeatureExtractor("cpu")


@pytest.fixture
def finder(extractor):
    return DepthViewFinder(extractor, 200)


@pytest.fixture(scope="module")
def source(office):
    whole = source_of_records(office / "map.csv", read_calibration(office / "camera_info.yaml"))
    return whole.select(np.arange(4, 10))


@pytest.fixture(scope="module")
def bare_map(source, small_encoder, tmp_path_factory):
    """Return a map of six images of the office that has descriptors and thumbnails only."""
    path = tmp_path_factory.mktemp("bare") / "bare.progeo"
    build_map(path, source, small_encoder)
    return path


@pytest.fixture
def place_map(bare_map, tmp_path):
    path = shutil.copy(bare_map, tmp_path / "map.progeo")
    with PlaceMap.open(path, writable=True) as opened:
        yield opened
        opened.verify()


def views_of(place_map):
    return place_map.views(place_map.ids())


def test_thumbnails_give_features(place_map, finder, source):
    steps: list[int] = []
    report = complete_views(place_map, finder, calibration=source.calibration, advance=steps.append)
    assert report == (0, 6, ())
    assert sum(steps) == 6
    for view in views_of(place_map):
        assert len(view.features.points) == 200
        assert view.features.size == (240, 160)
        assert view.intrinsics == source.calibration
        assert view.pose is None
        assert not view.features.has_landmark.any()
    assert place_map.structure == StructureNote(finder.note.extractor, "")
    # A second run has nothing to do.
    assert complete_views(place_map, finder) == (0, 0, ())


def test_the_images_give_more_and_their_depth_gives_landmarks(place_map, finder, source):
    complete_views(place_map, finder)
    report = complete_views(place_map, finder, source.select(np.arange(4)))
    assert report == (4, 0, ())
    *first, fifth, _ = views_of(place_map)
    for row, view in enumerate(first):
        assert view.features.size == (540, 360)
        assert view.features.has_landmark.any()
        np.testing.assert_array_equal(view.pose.position, source.records.position[row])
    assert fifth.features.size == (240, 160)
    assert fifth.pose is None
    assert place_map.structure.source == "depth"
    # Places that have landmarks are left alone.
    assert complete_views(place_map, finder, source.select(np.arange(4))) == (0, 0, ())


def test_what_features_lack_is_added_to_them(place_map, finder, source):
    complete_views(place_map, finder)
    before = views_of(place_map)
    report = complete_views(place_map, finder, calibration=source.calibration)
    assert report == (0, 0, ())
    for old, new in zip(before, views_of(place_map), strict=True):
        assert new.intrinsics == source.calibration
        assert new.features.points.tobytes() == old.features.points.tobytes()


def test_a_calibration_of_other_images_is_counted(place_map, finder, source):
    square = dataclasses.replace(source.calibration, width=400, height=400)
    complete_views(place_map, finder)
    complete_views(place_map, finder, calibration=square)
    assert finder.faults.total() == 6
    assert "400x400" in next(iter(finder.faults))
    assert all(view.intrinsics is None for view in views_of(place_map))


def test_a_calibration_of_other_images_is_counted_once(place_map, finder, source):
    square = dataclasses.replace(source.calibration, width=400, height=400)
    complete_views(place_map, finder, calibration=square)
    assert finder.faults.total() == 6


def test_orientations_of_places_that_were_moved_since_do_not_count(place_map, finder, source):
    shifted = source.records.position + np.arange(6)[:, None] * [0.5, 0.0, 0.0]
    records = dataclasses.replace(source.records, position=shifted)
    complete_views(place_map, finder, FileSource(records, calibration=source.calibration))
    assert [view.pose is None for view in views_of(place_map)] == [False] + [True] * 5


def test_features_of_another_extractor_are_found_again(place_map, finder, extractor, source):
    complete_views(place_map, DepthViewFinder(extractor, 100), source)
    place_map.set_structure(StructureNote("another-1", "depth"))
    assert complete_views(place_map, finder).from_thumbnails == 6
    assert place_map.structure == StructureNote(finder.note.extractor, "")
    for view in views_of(place_map):
        assert view.features.size == (240, 160)
        assert view.pose is not None


def test_a_source_of_other_images_is_refused(place_map, finder, corridor):
    with pytest.raises(UsageError, match="none of the 111 images given is of a place of this map"):
        complete_views(place_map, finder, source_of_records(corridor / "ref.csv"))
