import numpy as np

from progeo_core.fleet.frame_fit import FrameTransform, SharedPlaces, fit_frames, moved_by
from progeo_core.poses.transform import Transform

FRAME = np.array([40.0, -7.0, 1.5, 2.6])


def _shared(noise_m: float, count: int = 60) -> SharedPlaces:
    random = np.random.default_rng(3)
    moved = np.column_stack(
        [np.linspace(0.0, 80.0, count), random.normal(size=count), *np.zeros((2, count))]
    )
    fixed = moved_by(FRAME, moved) + noise_m * random.normal(size=(count, 4)) * [1, 1, 1, 0.1]
    return SharedPlaces(moved, fixed, np.full(count, noise_m), np.full(count, 0.1 * noise_m))


def test_frames_are_fitted_as_well_as_stated():
    found = fit_frames(_shared(0.5))
    error = found.pose - FRAME
    assert np.abs(error[:3]).max() < 0.5
    assert abs(error[3]) < 0.01
    assert error @ np.linalg.inv(found.covariance) @ error < 13.3  # 99 % of four values
    # Amid the places, a position is known better than where the far origin is.
    middle = np.array([40.0, 0.0, 0.0, 0.0])
    assert 0.03 < found.position_sigma_m(middle) < 0.3
    assert found.position_sigma_m(middle) < found.position_sigma_m(np.array([900.0, 0, 0, 0]))


def test_a_few_wrong_places_do_not_move_the_frame():
    shared = _shared(0.1)
    shared.fixed[::6, :2] += [25.0, -10.0]
    assert np.abs(fit_frames(shared).pose - FRAME).max() < 0.2


def test_swapped_places_tell_the_inverse():
    shared = _shared(0.05)
    there, back = fit_frames(shared), fit_frames(shared.swapped())
    both = there.transform.then(back.transform)
    assert np.abs(both.position).max() < 0.1
    assert abs(float(both.heading_rad)) < 0.01


def test_a_transform_of_level_frames_moves_places():
    frame = FrameTransform(FRAME, np.eye(4))
    inside = np.array([3.0, 4.0, 5.0])
    outside = frame.transform.then(Transform(inside, np.array([0.0, 0.0, 0.0, 1.0]))).position
    np.testing.assert_allclose(moved_by(FRAME, np.array([[*inside, 0.0]]))[0, :3], outside)
    np.testing.assert_array_equal(frame.planar, FRAME[[0, 1, 3]])
