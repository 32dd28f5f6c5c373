import json

import numpy as np
import pytest

from progeo_core.bags.writer import CAMERA_POSE_TOPIC, IMAGE_TOPIC, POSE_TOPIC
from progeo_core.errors import MissingDependencyError, ProgeoError
from progeo_core.evaluation.live_answers import has_ros, replay_live
from progeo_core.evaluation.replay import read_input, replay_offline
from progeo_core.geo import wgs84_from_enu


def test_a_live_replay_needs_rclpy(campus_bag, placed_map, monkeypatch):
    source = read_input(campus_bag, placed_map, IMAGE_TOPIC, POSE_TOPIC, 5.0)
    monkeypatch.setattr("progeo_core.evaluation.live_answers.has_ros", lambda: False)
    with pytest.raises(MissingDependencyError, match="source a ROS 2 distribution, or pip install"):
        replay_live(source, "mobilenetv2-gem")


@pytest.mark.slow
@pytest.mark.skipif(not has_ros(), reason="rclpy is not installed")
def test_live_and_offline_answers_agree(campus_bag, placed_map, small_model, small_encoder):
    source = read_input(campus_bag, placed_map, IMAGE_TOPIC, POSE_TOPIC, 5.0)
    # In a sequence, images that the node drops would make a difference.
    live = replay_live(source, str(small_model), sequence=False)
    offline = replay_offline(source, small_encoder, sequence=False)
    assert live.mode == "live"
    assert live.answered + live.dropped == 10
    assert live.answered > 0
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
    source = read_input(
        office_bag, office_map, IMAGE_TOPIC, CAMERA_POSE_TOPIC, 1.0, camera_poses=True
    )
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
def test_a_node_that_cannot_start_is_a_failed_run(campus_bag, placed_map, capfd):
    source = read_input(campus_bag, placed_map, IMAGE_TOPIC, POSE_TOPIC, 5.0)
    with pytest.raises(ProgeoError, match=r"the live replay failed \(exit code \d+\)"):
        replay_live(source, "no-such-model")
    assert "no-such-model" in capfd.readouterr().err


def test_answers_of_the_node_are_localizations(campus_bag, placed_map, monkeypatch, tmp_path):
    source = read_input(campus_bag, placed_map, IMAGE_TOPIC, POSE_TOPIC, 5.0)
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
    document = {"answers": [answer(5), answer(2)], "dropped_by": {"failed": 8}, "skipped": ["cut"]}
    json.dumps(document)
    monkeypatch.setattr("progeo_core.evaluation.live_answers._played", lambda *_: document)
    monkeypatch.setattr("progeo_core.evaluation.live_answers.has_ros", lambda: True)
    run = replay_live(source, "any")
    assert run.rows.tolist() == [2, 5]
    assert (run.answered, run.dropped, run.skipped) == (2, 8, ("cut",))
    assert list(run.evaluation.runs) == ["sequence"]
    np.testing.assert_allclose(run.latency_ms, 40.0)
    first = run.localizations[0]
    assert first.accepted
    assert np.isnan(first.estimate.yaw_rad)
    assert first.matches[0].image == place.image[1]
    assert first.matches[1].similarity == 0.25
    assert first.metric.pose.position.tolist() == [1.0, 2.0, 3.0]
    assert first.metric.landmarks == 50
    assert run.localizations[1].method == "place"
    assert source.datum is not None
    assert first.geodetic == pytest.approx(
        wgs84_from_enu(place.position[1:2], source.datum)[0].tolist()
    )
