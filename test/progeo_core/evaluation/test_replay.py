import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from progeo_core.bags.reader import Bag
from progeo_core.bags.writer import CAMERA_POSE_TOPIC, write_bag
from progeo_core.errors import DataError, MissingDependencyError, ModelMismatchError, ProgeoError
from progeo_core.evaluation.replay import has_ros, read_input, replay_live, replay_offline
from progeo_core.geo import Datum, Frame, wgs84_from_enu
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.map.build import build_map
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records

DATUM = Datum(48.0, 11.0, 500.0)
POSES, FIXES, IMAGES = "/ground_truth/pose", "/ground_truth/fix", "/camera/image_raw"


@pytest.fixture(scope="module")
def records(campus_loop):
    """Return the 72 campus frames."""
    return read_records(campus_loop / "records.csv")


@pytest.fixture(scope="module")
def placed_map(records, small_encoder, tmp_path_factory):
    """Return a map with a datum, of the first twenty even frames."""
    path = tmp_path_factory.mktemp("maps") / "placed.progeo"
    build_map(path, FileSource(records.select(slice(0, 40, 2))), small_encoder, datum=DATUM)
    return path


@pytest.fixture(scope="module")
def bag(records, tmp_path_factory):
    """Return a bag of ten odd frames with poses, at 10 Hz."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    write_bag(path, records.select(slice(1, 21, 2)))
    return path


def test_input_has_ground_truth_for_every_image(bag, placed_map, records):
    source = read_input(bag, placed_map, IMAGES, POSES, 5.0)
    assert source.images == 10
    assert source.duration_s == pytest.approx(0.9)
    assert source.datum == DATUM
    np.testing.assert_allclose(source.truth.position, records.position[1:21:2], atol=1e-9)


def test_every_image_is_answered_offline(bag, placed_map, small_encoder):
    source = read_input(bag, placed_map, IMAGES, POSES, 5.0)
    steps: list[int] = []
    run = replay_offline(source, small_encoder, advance=steps.append)
    assert sum(steps) == source.images == run.answered == 10
    assert run.dropped == 0
    assert run.rows.tolist() == list(range(10))
    assert [answer.stamp_ns for answer in run.localizations] == source.stamp_ns.tolist()
    assert (run.latency_ms > 0.0).all()
    assert run.evaluation.queries == 10
    assert run.evaluation.database == 20
    assert run.evaluation.recall_at[1] >= 0.8
    assert run.evaluation.sequence is not None
    assert run.localizations[0].geodetic is not None


def test_ground_truth_in_degrees_becomes_metres_of_the_map(bag, placed_map, records, tmp_path):
    few = records.select(slice(1, 7, 2))
    degrees = dataclasses.replace(
        few, position=wgs84_from_enu(few.position, DATUM), frame=Frame.WGS84
    )
    write_bag(tmp_path / "fixes", degrees)
    source = read_input(tmp_path / "fixes", placed_map, IMAGES, FIXES, 5.0)
    np.testing.assert_allclose(source.truth.position[:, :2], few.position[:, :2], atol=1e-3)


def test_ground_truth_in_degrees_needs_a_datum(records, small_encoder, tmp_path):
    few = records.select(slice(0, 2))
    degrees = dataclasses.replace(
        few, position=wgs84_from_enu(few.position, DATUM), frame=Frame.WGS84
    )
    write_bag(tmp_path / "fixes", degrees)
    path = tmp_path / "local.progeo"
    build_map(path, FileSource(few), small_encoder)
    with pytest.raises(DataError, match="latitude and longitude, but the map has no datum"):
        read_input(tmp_path / "fixes", path, IMAGES, FIXES, 5.0)


def test_a_calibration_of_the_bag_gives_full_poses(office_run):
    assert office_run.source.intrinsics.width == 540
    assert [answer.method for answer in office_run.localizations] == ["metric"] * 4
    assert office_run.poses.has_rotation
    figures = office_run.poses.full.to_json()
    assert figures["answered"] == figures["within"]["0.10m_5deg"] == 1.0


def test_a_given_calibration_takes_the_place_of_the_bag_s(office_bag, office_map, small_encoder):
    other = Intrinsics(540, 360, 250.0, 250.0, 270.0, 180.0)
    source = read_input(office_bag, office_map, IMAGES, CAMERA_POSE_TOPIC, 1.0, calibration=other)
    assert source.intrinsics == other
    assert np.isnan(source.orientation).all()


def test_positions_alone_leave_the_rotation_unknown(office_bag, office_map, small_encoder):
    source = read_input(office_bag, office_map, IMAGES, POSES, 1.0)
    run = replay_offline(source, small_encoder)
    assert not run.poses.has_rotation
    figures = run.poses.full.to_json()
    assert figures["answered"] == 1.0
    assert figures["position_error_m"]["p90"] < 0.1
    assert figures["rotation_error_deg"]["median"] is None


def test_fixes_are_no_poses_of_a_camera(records, placed_map, tmp_path):
    few = records.select(slice(1, 7, 2))
    degrees = dataclasses.replace(
        few, position=wgs84_from_enu(few.position, DATUM), frame=Frame.WGS84
    )
    write_bag(tmp_path / "fixes", degrees)
    with pytest.raises(DataError, match="have no orientation, so that they are not those of a cam"):
        read_input(tmp_path / "fixes", placed_map, IMAGES, FIXES, 5.0, camera_poses=True)


def test_images_without_ground_truth_are_answered_but_not_counted(
    placed_map, records, small_encoder, tmp_path
):
    few = records.select(slice(1, 9, 2))
    position = few.position.copy()
    position[-1] = np.nan
    write_bag(tmp_path / "drive", dataclasses.replace(few, position=position))
    source = read_input(tmp_path / "drive", placed_map, IMAGES, POSES, 5.0)
    run = replay_offline(source, small_encoder)
    assert run.answered == 4
    assert run.evaluated.tolist() == [0, 1, 2]
    assert run.evaluation.queries == 3


def test_unusable_images_are_dropped_and_counted(bag, placed_map, small_encoder, monkeypatch):
    source = read_input(bag, placed_map, IMAGES, POSES, 5.0)
    real = Bag.images

    def damaged(self, topic):
        from progeo_core.errors import ImageError

        for row, image in enumerate(real(self, topic)):
            yield image._replace(image=ImageError("damaged")) if row == 3 else image

    monkeypatch.setattr(Bag, "images", damaged)
    run = replay_offline(source, small_encoder)
    assert (run.answered, run.dropped) == (9, 1)
    assert run.dropped_by == {"failed": 1}
    assert 3 not in run.rows


def test_topics_and_clocks_are_checked_before_any_work(bag, placed_map):
    with pytest.raises(DataError, match="there is no topic '/nope'; topics with images: "):
        read_input(bag, placed_map, "/nope", POSES, 5.0)
    with pytest.raises(DataError, match="there is no topic '/truth'; topics with poses: "):
        read_input(bag, placed_map, IMAGES, "/truth", 5.0)
    with pytest.raises(DataError, match="there is no map here"):
        read_input(bag, placed_map.with_name("none.progeo"), IMAGES, POSES, 5.0)


def test_another_model_is_refused(bag, placed_map, small_encoder):
    source = read_input(bag, placed_map, IMAGES, POSES, 5.0)

    other: Any = SimpleNamespace(
        fingerprint=dataclasses.replace(small_encoder.fingerprint, weights_sha256="0" * 64)
    )

    with pytest.raises(ModelMismatchError, match="small"):
        replay_offline(source, other)


def test_a_live_replay_needs_rclpy(bag, placed_map, monkeypatch):
    source = read_input(bag, placed_map, IMAGES, POSES, 5.0)
    monkeypatch.setattr("progeo_core.evaluation.replay.has_ros", lambda: False)
    with pytest.raises(MissingDependencyError, match="source a ROS 2 distribution, or pip install"):
        replay_live(source, "mobilenetv2-gem")


@pytest.mark.slow
@pytest.mark.skipif(not has_ros(), reason="rclpy is not installed")
def test_live_and_offline_answers_agree(bag, placed_map, small_model, small_encoder):
    source = read_input(bag, placed_map, IMAGES, POSES, 5.0)
    live = replay_live(source, str(small_model))
    offline = replay_offline(source, small_encoder)
    assert live.mode == "live"
    assert live.answered + live.dropped == 10
    assert live.answered > 0
    assert live.evaluation.sequence is None
    assert (live.latency_ms > 0.0).all()
    for row, answer in zip(live.rows.tolist(), live.localizations, strict=True):
        twin = offline.localizations[row]
        assert answer.stamp_ns == twin.stamp_ns
        np.testing.assert_allclose(answer.estimate.position, twin.estimate.position, atol=1e-3)
        assert answer.geodetic is not None
        np.testing.assert_allclose(answer.geodetic, twin.geodetic, atol=1e-7)
        assert answer.accepted == twin.accepted
        assert answer.matches[0].place_id == twin.matches[0].place_id
        assert answer.matches[0].image == twin.matches[0].image


@pytest.mark.slow
@pytest.mark.skipif(not has_ros(), reason="rclpy is not installed")
def test_live_full_poses_are_those_of_the_camera(office_bag, office_map, office_run, small_model):
    source = read_input(office_bag, office_map, IMAGES, CAMERA_POSE_TOPIC, 1.0, camera_poses=True)
    live = replay_live(source, str(small_model))
    assert live.answered > 0
    assert live.has_full_poses
    for row, answer in zip(live.rows.tolist(), live.localizations, strict=True):
        twin = office_run.localizations[row].metric
        np.testing.assert_allclose(answer.metric.pose.position, twin.pose.position, atol=0.02)
        turn = answer.metric.pose.rotation.T @ twin.pose.rotation
        np.testing.assert_allclose(turn, np.eye(3), atol=0.02)
        assert answer.metric.landmarks > 40


@pytest.mark.slow
@pytest.mark.skipif(not has_ros(), reason="rclpy is not installed")
def test_a_node_that_cannot_start_is_a_failed_run(bag, placed_map, capfd):
    source = read_input(bag, placed_map, IMAGES, POSES, 5.0)
    with pytest.raises(ProgeoError, match=r"the live replay failed \(exit code \d+\)"):
        replay_live(source, "no-such-model")
    assert "no-such-model" in capfd.readouterr().err


def test_answers_of_the_node_are_localizations(bag, placed_map, monkeypatch, tmp_path):
    source = read_input(bag, placed_map, IMAGES, POSES, 5.0)
    stamps = source.stamp_ns.tolist()
    place = source.places

    def answer(row):
        return {
            "stamp_ns": stamps[row],
            "sent_ns": 1_000_000,
            "answered_ns": 41_000_000,
            "accepted": row == 2,
            "confidence": 0.75,
            "position": place.position[1].tolist(),
            "yaw_rad": None,
            "covariance": np.eye(6).ravel().tolist(),
            "place_ids": [int(place.ids[1]), int(place.ids[0])],
            "similarities": [0.5, 0.25],
            "state": "LOCALIZED",
            "reason": "because",
            "landmarks": 50 if row == 2 else 0,
            "camera_pose": {"position": [1.0, 2.0, 3.0], "orientation": [0.0, 0.6, 0.0, 0.8]}
            if row == 2
            else None,
        }

    # Answers may come out of order.
    document = {"answers": [answer(5), answer(2)], "dropped_by": {"superseded": 8}}
    json.dumps(document)
    monkeypatch.setattr("progeo_core.evaluation.replay._played", lambda *_: document)
    monkeypatch.setattr("progeo_core.evaluation.replay.has_ros", lambda: True)
    run = replay_live(source, "any")
    assert run.rows.tolist() == [2, 5]
    assert (run.answered, run.dropped) == (2, 8)
    np.testing.assert_allclose(run.latency_ms, 40.0)
    first = run.localizations[0]
    assert first.accepted
    assert np.isnan(first.estimate.yaw_rad)
    assert first.matches[0].image == place.image[1]
    assert first.matches[1].similarity == 0.25
    assert first.metric.pose.position.tolist() == [1.0, 2.0, 3.0]
    assert first.metric.landmarks == 50
    assert run.localizations[1].method == "place"
    assert first.geodetic == pytest.approx(wgs84_from_enu(place.position[1:2], DATUM)[0].tolist())
