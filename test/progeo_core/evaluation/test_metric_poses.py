import numpy as np
import pytest

from progeo_core.evaluation.metric_poses import compare_poses, pose_rows, protocol_of_poses
from progeo_core.localization.answer import Localization, Match
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.verification.metric_localizer import MetricPose

LEVEL = np.array([0.0, 0.0, 0.0, 1.0])


def answer(offset=None, turn_deg=0.0, sigma_m=0.05):
    metric = None
    if offset is not None:
        half = np.radians(turn_deg) / 2.0
        pose = CameraPose(np.array(offset, float), np.array([0.0, 0.0, np.sin(half), np.cos(half)]))
        metric = MetricPose(pose, np.eye(6) * sigma_m**2, 50, (1,))
    estimate = PoseEstimate(np.zeros(3), 0.0, np.eye(6), 1.0)
    descriptor = np.ones(1, np.float32)
    return Localization(0, "", estimate, None, True, "LOCALIZED", "", (), descriptor, metric=metric)


def test_shares_are_of_all_queries_and_silence_is_infinitely_far():
    answers = [
        answer([0.03, 0.0, 0.04], 1.0),
        answer([0.2, 0.0, 0.0], 3.0),
        answer([0.0, 2.0, 0.0], 90.0),
        answer(),
    ]
    figures = compare_poses(answers, np.zeros((4, 3)), np.tile(LEVEL, (4, 1))).full.to_json()
    assert figures["answered"] == 0.75
    assert figures["position_error_m"]["median"] == pytest.approx(0.2)
    assert figures["rotation_error_deg"]["median"] == pytest.approx(3.0)
    assert figures["within"] == {"0.10m_5deg": 0.25, "0.25m_2deg": 0.25, "0.50m_5deg": 0.5}
    assert figures["wrong_beyond_0.5m"] == 0.25
    assert figures["ellipsoid_90"] == pytest.approx(1 / 3)


def test_an_unknown_true_orientation_counts_as_no_agreement_and_is_said():
    answers, unknown = [answer([0.0, 0.0, 0.0])], np.full((1, 4), np.nan)
    comparison = compare_poses(answers, np.zeros((1, 3)), unknown)
    figures = comparison.full.to_json()
    assert figures["position_error_m"]["median"] == 0.0
    assert figures["rotation_error_deg"]["median"] is None
    assert figures["within"]["0.50m_5deg"] == 0.0
    assert "rotation of the camera is unknown" in protocol_of_poses(comparison)
    texts = {row.name: row.full for row in pose_rows(comparison)}
    assert texts["position error, median"] == "0.000 m"
    assert texts["rotation error, median"] == texts["within 0.10 m, 5°"] == "–"


def test_the_usual_reason_of_queries_without_a_full_pose_is_said():
    reasons = ("too few; found again 3 m off", "too few", "small")
    silent = [answer()._replace(reason=f"found; no metric pose: {reason}") for reason in reasons]
    known = np.zeros((4, 3)), np.tile(LEVEL, (4, 1))
    comparison = compare_poses([answer([0.0, 0.0, 0.0]), *silent], *known)
    assert "3 have no full pose, most often: too few." in protocol_of_poses(comparison)


def test_an_unknown_true_height_leaves_the_error_on_the_plan():
    answers = [answer([0.3, 0.4, 9.0], sigma_m=0.25), answer([0.3, 0.4, 9.0], sigma_m=0.2)]
    truth = np.tile([0.0, 0.0, np.nan], (2, 1))
    full = compare_poses(answers, truth, np.tile(LEVEL, (2, 1))).full
    np.testing.assert_allclose(full.position_m, 0.5)
    assert full.in_ellipsoid.tolist() == [True, False]


def test_places_stand_beside_full_poses():
    # The camera looks along y: the optical axis of LEVEL, z, has no direction in the plane.
    forward = np.array([-np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)])
    match = Match(1, 0.5, np.array([3.0, 4.0, 0.0]), np.pi / 2 + 0.1, "")
    answers = [answer()._replace(matches=(match,)), answer()]
    comparison = compare_poses(answers, np.zeros((2, 3)), np.tile(forward, (2, 1)))
    np.testing.assert_allclose(comparison.places.position_m, [5.0, np.inf])
    np.testing.assert_allclose(comparison.places.rotation_deg, [np.degrees(0.1), np.inf])
    texts = {row.name: row[1:] for row in pose_rows(comparison)}
    assert texts["answered"] == ("0 %", "50 %")
    assert texts["position error, median"] == ("–", "5.000 m")
    assert texts["truths in the 90 % ellipsoid"] == ("–", "–")


def test_nothing_answered():
    figures = compare_poses([answer()], np.zeros((1, 3)), LEVEL[None]).full.to_json()
    assert figures["answered"] == 0.0
    assert figures["ellipsoid_90"] is None
