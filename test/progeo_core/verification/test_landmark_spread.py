import numpy as np

from progeo_core.verification.landmark_spread import landmark_spread, whitened


def test_landmarks_err_along_their_rays():
    landmarks = np.array([[3.0, 0.0, 4.0], [np.nan, np.nan, np.nan]])
    spread = landmark_spread(landmarks, np.array([0.1, np.nan], np.float32), np.zeros(3))
    np.testing.assert_allclose(spread[0], [0.12, 0.0, 0.16], rtol=1e-6)
    assert np.isnan(spread[1]).all()


def test_whitened_residuals_are_as_long_as_their_covariance_says():
    random = np.random.default_rng(0)
    spread, values = random.normal(0.0, 3.0, (2, 5)), random.normal(0.0, 3.0, (4, 2, 5))
    spread[:, 0] = 0.0
    found = whitened(values, spread)
    np.testing.assert_allclose(found[..., 0], values[..., 0])
    for one in range(5):
        covariance = np.eye(2) + np.outer(spread[:, one], spread[:, one])
        information = np.linalg.inv(covariance)
        np.testing.assert_allclose(
            found[..., one] @ found[..., one].T,
            values[..., one] @ information @ values[..., one].T,
        )
