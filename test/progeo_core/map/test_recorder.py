import os

import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.geo import Datum
from progeo_core.map import recorder
from progeo_core.map.place_features import StructureNote
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.recorder import MapRecorder, NewPlace
from progeo_core.poses.pose_buffer import BufferedPose
from test.place_views import make_view


@pytest.fixture
def keyframe(unit_vectors):
    """Return a function that makes the n-th keyframe of a session."""

    def make(number: int) -> NewPlace:
        pose = BufferedPose(np.array([float(number), 0.0, 0.5]), 0.25, 0)
        return NewPlace(b"jpeg", unit_vectors(1, seed=number)[0], pose, 10 * number, "front")

    return make


def test_a_keyframe_is_a_place_at_once(tmp_path, fingerprint, keyframe):
    path = tmp_path / "site.progeo"
    with MapRecorder.open(str(path), fingerprint, "monday", Datum(48.0, 11.0)) as recording:
        assert recording.datum == Datum(48.0, 11.0)
        assert all(recording.add(keyframe(number)) for number in (1, 2))
        with PlaceMap.open(path) as reader:
            table = reader.places()
            assert reader.thumbnail(1) == b"jpeg"
        assert recording.save() == recording.saved == 2
    np.testing.assert_array_equal(table.position, [[1.0, 0.0, 0.5], [2.0, 0.0, 0.5]])
    assert table.yaw_rad.tolist() == [0.25, 0.25]
    assert table.image == ("front@10", "front@20")
    assert set(table.traverse) == {"monday"}
    assert sorted(os.listdir(tmp_path)) == ["site.faiss", "site.progeo"]


def test_a_map_is_continued_by_the_same_model_only(filled_map, fingerprint, keyframe):
    other = ModelFingerprint("large+GeM", 8, "64x64", "cd" * 32)
    with pytest.raises(ModelMismatchError):
        MapRecorder.open(filled_map, other, "monday")
    with MapRecorder.open(filled_map, fingerprint, "monday") as recording:
        assert recording.places_before == 5
        with pytest.raises(DataError, match="is writing this map"):
            MapRecorder.open(filled_map, fingerprint, "tuesday")
        assert recording.add(keyframe(1))
    with PlaceMap.open(filled_map) as place_map:
        assert len(place_map) == 6


def test_a_keyframe_brings_its_view(tmp_path, fingerprint, keyframe):
    note = StructureNote("tiny-features", "depth")
    path = tmp_path / "site.progeo"
    place = keyframe(1)._replace(view=make_view(np.array([1.0, 0.0, 0.5])))
    with MapRecorder.open(path, fingerprint, "monday", structure=note) as recording:
        assert recording.add(place)
        assert recording.add(keyframe(2))
        with PlaceMap.open(path) as reader:
            assert reader.structure == note
            seen, none = reader.views([1, 2])
    assert none is None
    np.testing.assert_array_equal(seen.features.points, place.view.features.points)
    with pytest.raises(UsageError, match=r"site\.progeo: .*tiny-features and of others cannot"):
        MapRecorder.open(path, fingerprint, "", structure=StructureNote("others", "depth"))


def test_a_map_that_stays_empty_is_removed(tmp_path, fingerprint):
    MapRecorder.open(tmp_path / "site.progeo", fingerprint, "").close()
    assert os.listdir(tmp_path) == []


def test_a_map_moved_to_the_path_of_an_empty_one_stays(tmp_path, fingerprint, filled_map):
    recording = MapRecorder.open(tmp_path / "site.progeo", fingerprint, "")
    os.replace(filled_map, tmp_path / "site.progeo")
    recording.close()
    with PlaceMap.open(tmp_path / "site.progeo") as place_map:
        assert len(place_map) == 5


def test_nothing_is_saved_in_a_map_that_was_removed(
    tmp_path, fingerprint, keyframe, monkeypatch, caplog
):
    monkeypatch.setattr(recorder, "_RETRY_S", 0.0)
    path = tmp_path / "site.progeo"
    with MapRecorder.open(path, fingerprint, "") as recording:
        assert recording.add(keyframe(1))
        path.unlink()
        assert not recording.add(keyframe(2))
        assert not recording.add(keyframe(3))
        assert (recording.saved, recording.lost) == (1, 2)
        assert "moved, replaced or removed" in recording.fault
        assert caplog.text.count("mapping pauses") == 1
