import numpy as np

from progeo_core.localization.decision import AMBIGUOUS, LOCALIZED
from progeo_core.localization.metric_decision import decide_metric
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE, PoseEstimate
from progeo_core.verification.metric_localizer import MetricPose


def test_landmarks_give_position_yaw_and_their_covariance():
    # The optical axis points along x of the map, level.
    pose = CameraPose(np.array([1.0, 2.0, 0.5]), np.array([-0.5, 0.5, -0.5, 0.5]))
    covariance = np.diag([0.01, 0.02, 0.03, 0.1, 0.2, 0.3]) + 0.001
    metric = MetricPose(pose, covariance, 80, (3, 9))
    vague = PoseEstimate(np.zeros(3), np.nan, np.diag(np.full(6, 1e6)), 0.2)
    estimate, decision = decide_metric(metric, vague, 0.9)
    assert decision.accepted
    assert decision.state == LOCALIZED
    assert decision.reason == "80 landmarks of 2 places agree on one pose"
    np.testing.assert_array_equal(estimate.position, [1.0, 2.0, 0.5])
    np.testing.assert_allclose(estimate.yaw_rad, 0.0, atol=1e-9)
    known = np.ix_([0, 1, 2, 5], [0, 1, 2, 5])
    np.testing.assert_array_equal(estimate.covariance[known], covariance[known])
    assert estimate.covariance[3, 3] == estimate.covariance[4, 4] == UNOBSERVED_VARIANCE
    assert estimate.confidence == 0.99
    _, strict = decide_metric(metric, vague, 0.995)
    assert not strict.accepted
    assert strict.state == AMBIGUOUS
    assert strict.reason.endswith("agree on one pose, confidence 0.99 is below 0.99")
