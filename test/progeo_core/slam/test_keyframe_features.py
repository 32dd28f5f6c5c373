import numpy as np

from progeo_core.poses.extrinsics import Extrinsics
from progeo_core.poses.transform import Transform
from progeo_core.slam.keyframe_features import KeyframeFeatures

AHEAD = Extrinsics.from_text("0.2 0 0.5 -0.5 0.5 -0.5 0.5")
ROBOT = Transform(np.array([3.0, 4.0, 0.0]), np.array([0.0, 0.0, 0.6, 0.8]))


def test_features_come_back_from_their_bytes() -> None:
    random = np.random.default_rng(0)
    descriptors = random.normal(size=(40, 64)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    rays = random.normal(size=(40, 2)).astype(np.float32).astype(np.float64)
    rays[3] = np.nan
    features = KeyframeFeatures(rays, descriptors, 0.002, ROBOT, AHEAD)
    data = features.to_bytes()
    assert len(data) == 40 * 72 + 120
    found = KeyframeFeatures.from_bytes(data)
    np.testing.assert_array_equal(found.rays, rays)
    np.testing.assert_allclose(found.descriptors, descriptors, atol=0.01)
    assert (found.descriptors * descriptors).sum(axis=1).min() > 0.999
    assert found.pixel == 0.002
    assert found.view is not None
    assert features.view is not None
    np.testing.assert_allclose(found.view.pose.position, features.view.pose.position)
    # A camera 0.2 m ahead of a robot that looks along (0.28, 0.96).
    np.testing.assert_allclose(found.view.pose.position, [3.056, 4.192, 0.5])
    np.testing.assert_allclose(found.view.rotation[:, 2], [0.28, 0.96, 0.0], atol=1e-9)


def test_without_features_or_poses_nothing_else_is_lost() -> None:
    nothing = KeyframeFeatures(np.empty((0, 2)), np.empty((0, 64), np.float32), 0.001)
    found = KeyframeFeatures.from_bytes(nothing.to_bytes())
    assert found.descriptors.shape == (0, 64)
    assert found.robot is None
    assert found.extrinsics is None
    assert found.view is None
