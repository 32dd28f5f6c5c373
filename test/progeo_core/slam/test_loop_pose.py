import numpy as np
import pytest

from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE
from progeo_core.slam.keyframes import Keyframe
from progeo_core.slam.loop_pose import relative_pose


def keyframe(x: float, y: float, yaw: float, metric: bool = True) -> Keyframe:
    return Keyframe(0, 1, np.array([x, y, yaw]), 0, metric, 0.0)


def line(start: float, count: int, y: float = 0.0) -> np.ndarray:
    return np.column_stack([start + np.arange(count), np.full(count, y), np.zeros(count)])


def test_neighbours_tell_the_position_finer_than_their_spacing() -> None:
    # The first drive passed at 0, 1, 2, ..., the second one half a metre farther each time.
    query, match = line(100.5, 5), line(0.0, 5)
    match[[1, 3], 0] += 1.0
    found = relative_pose(keyframe(104.5, 0, 0), keyframe(4.0, 0, 0), query, match, np.ones(5), 1.0)
    assert found.pose == pytest.approx([0.4, 0.0, 0.0])
    assert np.linalg.eigvalsh(found.covariance).min() > 0.0


def test_what_was_not_observed_says_so() -> None:
    poses = line(0.0, 4)
    found = relative_pose(
        keyframe(3, 0, 0, False), keyframe(3, 0, 0), poses, poses, np.ones(4), 1.0
    )
    sigma2 = np.diag(found.covariance)
    assert sigma2[:5] == pytest.approx(np.full(5, UNOBSERVED_VARIANCE))
    assert sigma2[5] == pytest.approx(0.26**2)
    metric = relative_pose(keyframe(3, 0, 0), keyframe(3, 0, 0), poses, poses, np.ones(4), 1.0)
    assert np.diag(metric.covariance)[:2] == pytest.approx(np.full(2, 1 / 3))
    assert np.diag(metric.covariance)[2:5] == pytest.approx(np.full(3, UNOBSERVED_VARIANCE))


def test_pairs_that_disagree_widen_the_covariance() -> None:
    query, match = line(0.0, 4), line(0.0, 4)
    match[:2, 1] += 2.0
    found = relative_pose(keyframe(3, 0, 0), keyframe(3, 0, 0), query, match, np.ones(4), 1.0)
    assert found.covariance[1, 1] == pytest.approx(1.0 + 1 / 3)
    assert found.pose[1] == pytest.approx(1.0)
