import math
from pathlib import Path

import numpy as np
import pytest

from progeo_core.descriptors.encoder import Encoder
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.images.codec import read_image
from progeo_core.localization.answer import CameraFrame, Localization
from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import PlaceFilterSettings
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.poses.extrinsics import Extrinsics
from progeo_core.poses.pose_buffer import PoseBuffer
from progeo_core.records.records import Records
from progeo_core.verification.metric_localizer import MetricPose
from progeo_ros.loaded_map import LoadedMap, LocalizerOptions, has_places, open_map
from progeo_ros.settings import NodeSettings

pytestmark = pytest.mark.slow  # a network is loaded

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


def test_only_a_pose_by_landmarks_becomes_that_of_the_robot(
    corridor_map: Path, encoder: Encoder, answer: Localization
) -> None:
    loaded = LoadedMap.open(str(corridor_map), encoder, OPTIONS, NodeSettings(), PoseBuffer())
    # Looks ahead from 1 m in front of the base, and the map knows it to look north.
    mount = Extrinsics.from_text("1 0 0 -0.5 0.5 -0.5 0.5")
    north = CameraPose(np.array([5.0, 7.0, 0.0]), np.array([-math.sqrt(0.5), 0, 0, math.sqrt(0.5)]))
    metric = answer._replace(metric=MetricPose(north, np.eye(6), 50, (1, 2)))
    assert loaded.of_robot(answer, mount) is answer
    assert loaded.of_robot(metric, None) is metric
    robot = loaded.of_robot(metric, mount)
    np.testing.assert_allclose(robot.estimate.position, [5.0, 6.0, 0.0], atol=1e-12)
    assert robot.estimate.yaw_rad == pytest.approx(math.pi / 2)
    assert robot.estimate.confidence == answer.estimate.confidence
    assert robot.geodetic == loaded.prepared.geodetic(robot.estimate.position)
    assert not loaded.has_landmarks
    loaded.place_map.close()
