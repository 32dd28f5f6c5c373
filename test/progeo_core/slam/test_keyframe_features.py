import numpy as np

from progeo_core.slam.keyframe_features import KeyframeFeatures


def test_features_come_back_from_their_bytes() -> None:
    random = np.random.default_rng(0)
    descriptors = random.normal(size=(40, 64)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    rays = random.normal(size=(40, 2)).astype(np.float32).astype(np.float64)
    rays[3] = np.nan
    data = KeyframeFeatures(rays, descriptors).to_bytes()
    assert len(data) == 40 * 72
    found = KeyframeFeatures.from_bytes(data)
    np.testing.assert_array_equal(found.rays, rays)
    np.testing.assert_allclose(found.descriptors, descriptors, atol=0.01)
    assert (found.descriptors * descriptors).sum(axis=1).min() > 0.999


def test_an_image_without_features_has_no_bytes() -> None:
    nothing = KeyframeFeatures(np.empty((0, 2)), np.empty((0, 64), np.float32))
    assert nothing.to_bytes() == b""
    assert KeyframeFeatures.from_bytes(b"").descriptors.shape == (0, 64)
