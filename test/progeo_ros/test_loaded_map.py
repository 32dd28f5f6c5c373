from pathlib import Path

import numpy as np
import pytest

from progeo_core.descriptors.encoder import Encoder
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.images.codec import read_image
from progeo_core.localization.answer import CameraFrame
from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import PlaceFilterSettings
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.pose_buffer import PoseBuffer
from progeo_core.records.records import Records
from progeo_ros.loaded_map import LoadedMap, LocalizerOptions, has_places, open_map
from progeo_ros.settings import NodeSettings

OPTIONS = LocalizerOptions(LocalizerSettings(), ConsensusSettings(), PlaceFilterSettings())
SETTINGS = NodeSettings(index_memory_mb=64)


def test_an_open_map_answers_and_keeps_its_odometry_with_other_options(
    corridor_map: Path, encoder: Encoder, places: Records
) -> None:
    odometry = PoseBuffer()
    loaded = LoadedMap.open(str(corridor_map), encoder, OPTIONS, SETTINGS, odometry)
    assert loaded.places == 20
    frame = CameraFrame(read_image(places.images[4]))
    assert loaded.localizer.localize(frame).matches[0].image == str(places.images[4])
    other = loaded.with_options(encoder, OPTIONS._replace(localizer=LocalizerSettings(top_k=3)))
    assert other.place_map is loaded.place_map
    assert len(other.localizer.localize(frame).matches) == 3
    assert other.localizer.odometry is loaded.localizer.odometry is odometry
    loaded.place_map.close()


def test_a_map_of_another_model_is_refused_before_its_index_is_built(
    tmp_path: Path, encoder: Encoder
) -> None:
    path = tmp_path / "other.progeo"
    PlaceMap.create(path, ModelFingerprint("CLIP-RN50+GeM", 1024, "512", "ab" * 32)).close()
    with pytest.raises(ModelMismatchError, match="CLIP-RN50"):
        LoadedMap.open(str(path), encoder, OPTIONS, SETTINGS, PoseBuffer())
    assert not list(tmp_path.glob("*.faiss"))


def test_a_map_has_places_only_if_it_is_there_and_has_some(
    corridor_map: Path, tmp_path: Path, encoder: Encoder
) -> None:
    empty = tmp_path / "empty.progeo"
    PlaceMap.create(empty, encoder.fingerprint).close()
    answers = [has_places(path) for path in ("", str(tmp_path / "no.progeo"), str(empty))]
    assert answers == [False, False, False]
    assert has_places(str(corridor_map))
    damaged = tmp_path / "damaged.progeo"
    damaged.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(DataError, match="damaged"):
        has_places(str(damaged))


def test_an_empty_path_says_which_parameter_is_missing() -> None:
    with pytest.raises(UsageError, match="parameter map is empty"):
        open_map("")
