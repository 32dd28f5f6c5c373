import numpy as np
import pytest

from progeo_core.evaluation.metric_poses import metric_pose_errors
from progeo_core.localization.answer import Localization
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
    errors = metric_pose_errors(answers, np.zeros((4, 3)), np.tile(LEVEL, (4, 1)))
    figures = errors.to_json()
    assert figures["answered"] == 0.75
    assert figures["position_error_m"]["median"] == pytest.approx(0.2)
    assert figures["rotation_error_deg"]["median"] == pytest.approx(3.0)
    assert figures["within"] == {"0.10m_5deg": 0.25, "0.25m_2deg": 0.25, "0.50m_5deg": 0.5}
    assert figures["wrong_beyond_0.5m"] == 0.25
    assert figures["ellipsoid_90"] == pytest.approx(1 / 3)


def test_an_unknown_true_orientation_counts_as_no_agreement():
    errors = metric_pose_errors(
        [answer([0.0, 0.0, 0.0])], np.zeros((1, 3)), np.full((1, 4), np.nan)
    )
    figures = errors.to_json()
    assert figures["position_error_m"]["median"] == 0.0
    assert figures["rotation_error_deg"]["median"] is None
    assert figures["within"]["0.50m_5deg"] == 0.0


def test_nothing_answered():
    figures = metric_pose_errors([answer()], np.zeros((1, 3)), LEVEL[None]).to_json()
    assert figures["answered"] == 0.0
    assert figures["ellipsoid_90"] is None
