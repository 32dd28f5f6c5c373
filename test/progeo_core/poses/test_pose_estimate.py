import numpy as np

from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE, PoseEstimate


def test_an_axis_that_nothing_observed_is_no_constraint_to_a_filter() -> None:
    """Fused with a prior of 10 m or 1 rad, it moves that by nothing that can be seen."""
    prior = 100.0
    gain = prior / (prior + UNOBSERVED_VARIANCE)
    assert gain < 1e-3
    covariance = np.diag([1.0, 1.0, *[UNOBSERVED_VARIANCE] * 4])
    estimate = PoseEstimate(np.zeros(3), float("nan"), covariance, 0.5)
    # Consumers invert it, so that no axis may be zero or infinite.
    np.testing.assert_allclose(np.linalg.inv(estimate.covariance) @ covariance, np.eye(6))
