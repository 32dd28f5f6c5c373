import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.images.intrinsics import Intrinsics
from progeo_core.poses.camera_pose import CameraPose, quaternion_of
from progeo_core.verification.absolute_pose import FIRST_ERROR_PX, fitted_pose
from progeo_core.verification.calibration_check import (
    Lens,
    LensHistory,
    fitting_lens,
    lens_drift,
    zoomed,
)
from progeo_core.verification.landmark_spread import Correspondences, landmark_spread

PIXEL = 1.0 / 500.0
CAMERA = Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0)
TURN = Rotation.from_euler("y", 5, degrees=True).as_matrix()
POSE = CameraPose(np.array([0.3, -0.1, 0.2]), quaternion_of(TURN))


def seen(scale=1.0, radial=0.0, wrong=0.3, depth=(2.0, 6.0)):
    """Return rays of landmarks, by a calibration that lacks a scale and a distortion."""
    random = np.random.default_rng(3)
    inside = random.uniform([-0.6, -0.45, depth[0]], [0.6, 0.45, depth[1]], (400, 3))
    inside[:, :2] *= inside[:, 2:]
    rays = inside[:, :2] / inside[:, 2:]
    rays = rays * (scale + radial * (rays**2).sum(axis=1, keepdims=True))
    rays += random.normal(scale=0.7 * PIXEL, size=rays.shape)
    moved = random.permutation(400)[: int(400 * wrong)]
    rays[moved] = random.uniform(-0.5, 0.5, (len(moved), 2))
    return rays, POSE.to_map(inside)


def fitted(rays, landmarks):
    pose = fitted_pose(rays, landmarks, FIRST_ERROR_PX).pose
    return fitting_lens(Correspondences(rays, landmarks), zoomed(pose, landmarks))


def lens(scale=1.0, sigma=0.02, radial=0.0, radial_sigma=0.1):
    return Lens(scale, radial, np.diag([sigma, radial_sigma]) ** 2, POSE)


def open_errors(verdict):
    """Return what the errors of the focal length and of the radial term may be."""
    return np.zeros(2) if verdict.open is None else np.sqrt(np.diag(verdict.open))


def judged(history, one, step=0, known=True, camera=CAMERA):
    return history.judge(camera, one, np.array([0.3 * step, 0.0, 0.0]), known)


def test_a_right_calibration_stands_though_matches_are_wrong():
    found = fitted(*seen())
    assert found.scale == pytest.approx(1.0, abs=0.005)
    assert found.radial == pytest.approx(0.0, abs=0.01)
    np.testing.assert_allclose(found.pose.position, POSE.position, atol=0.01)
    for known in (True, False):
        assert judged(LensHistory(), found, known=known).fault == ""


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("scale", [0.7, 1.3, 1.6])
def test_another_focal_length_is_named(scale, known):
    found = fitted(*seen(scale))
    assert found.scale == pytest.approx(scale, abs=0.02)
    verdict = judged(LensHistory(), found, known=known)
    assert "landmarks fit a focal length of" in verdict.fault
    assert not verdict.unconfirmed


def test_rectified_images_with_the_calibration_of_raw_ones_are_told_apart():
    rays, landmarks = seen(radial=0.4)
    found = fitted(rays, landmarks)
    assert found.radial == pytest.approx(0.4, abs=0.05)
    assert "another distortion" in judged(LensHistory(), found, known=False).fault
    np.testing.assert_allclose(
        np.sort(found.unbent(rays) - seen()[0], axis=0)[100:300], 0.0, atol=0.02
    )


def test_points_behind_the_camera_change_nothing():
    rays, landmarks = seen()
    behind = POSE.to_map(np.tile([0.1, 0.1, -2.0], (30, 1)))
    rays, landmarks = np.concatenate([rays, np.zeros((30, 2))]), np.concatenate([landmarks, behind])
    found = fitting_lens(Correspondences(rays, landmarks), [(POSE, 1.0)])
    assert found.scale == pytest.approx(1.0, abs=0.005)


def test_a_lens_by_landmarks_that_err_along_their_rays():
    rays, landmarks = seen(wrong=0.0)
    by = POSE.position + np.array([0.4, 0.0, 0.3])
    sigma_m = np.full(400, 0.05, np.float32)
    spread = landmark_spread(landmarks, sigma_m, by)
    moved = landmarks + spread * np.random.default_rng(4).normal(size=(400, 1))
    plain = fitting_lens(Correspondences(rays, moved), [(POSE, 1.0)])
    weighed = fitting_lens(Correspondences(rays, moved, spread), [(POSE, 1.0)])
    assert weighed.scale == pytest.approx(1.0, abs=0.01)
    assert abs(weighed.scale - 1.0) < abs(plain.scale - 1.0)
    behind = np.concatenate([moved, POSE.to_map(np.tile([0.1, 0.1, -2.0], (30, 1)))])
    pairs = Correspondences(
        np.concatenate([rays, np.zeros((30, 2))]),
        behind,
        landmark_spread(behind, np.full(430, 0.05, np.float32), by),
    )
    assert fitting_lens(pairs, [(POSE, 1.0)]).scale == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_a_wall_tells_no_focal_length_from_a_distance(scale):
    found = fitted(*seen(scale, depth=(4.0, 4.02)))
    assert np.sqrt(found.covariance[0, 0]) > 0.1
    verdict = judged(LensHistory(), found, known=False)
    assert verdict.unconfirmed
    assert "its focal length is not confirmed yet" in verdict.fault
    if scale == 1.0:
        own = judged(LensHistory(), found)
        assert own.fault == ""
        assert open_errors(own)[0] > 0.1


def test_a_wall_is_seen_from_twice_as_far_by_twice_as_long_a_lens():
    rays, landmarks = seen(wrong=0.0, depth=(4.0, 4.02))
    drift = lens_drift(rays, landmarks, POSE)[:, 0]
    assert drift[:3] @ POSE.rotation[:, 2] == pytest.approx(-4.01, rel=0.01)
    np.testing.assert_allclose(drift[3:], 0.0, atol=0.01)


@pytest.mark.parametrize("thickness", [0.0, 0.001])
def test_a_lens_that_a_flat_wall_leaves_open_is_of_a_camera(thickness):
    found = fitted(*seen(0.75, depth=(4.0, 4.0 + thickness)))
    assert 0.1 < found.scale < 10.0
    assert np.sqrt(found.covariance[0, 0]) > 1.0


def test_images_confirm_the_calibration_of_another_camera():
    history, vague = LensHistory(), lens(sigma=0.2)
    # One that stands still says the same again and again.
    assert all(judged(history, vague, known=False).unconfirmed for _ in range(20))
    verdicts = [judged(history, vague, step, known=False) for step in range(1, 8)]
    assert [verdict.fault == "" for verdict in verdicts] == [False] * 3 + [True] * 4
    assert open_errors(verdicts[-1])[0] == pytest.approx(np.hypot(0.2, 0.02) / np.sqrt(8.0))
    # A better image from the same point counts instead.
    assert open_errors(judged(history, lens(sigma=0.03), 7, known=False))[0] < 0.035
    # Errors of triangulated landmarks are larger.
    assert judged(LensHistory(), lens(sigma=0.08), known=False).fault == ""
    assert judged(LensHistory(1.5), lens(sigma=0.08), known=False).unconfirmed
    # An error that is not excluded counts as one.
    assert open_errors(judged(LensHistory(), lens(1.04, 0.03), known=False))[0] == pytest.approx(
        np.sqrt(0.04**2 + 0.03**2 + 0.02**2)
    )


@pytest.mark.parametrize("error_factor", [1.0, 1.5])
def test_the_calibration_of_the_map_is_right_once_images_confirm_it(error_factor):
    history, fair = LensHistory(error_factor), lens(sigma=0.06, radial_sigma=0.04)
    first = judged(history, fair)
    assert first.fault == ""
    assert open_errors(first)[0] == pytest.approx(np.hypot(0.06 * error_factor, 0.02))
    confirmed = [judged(history, fair, step).open is None for step in (1, 2, 3)]
    assert confirmed == [False, True, True]
    # An error that is not excluded counts, though it may be chance.
    for one, errors in ((lens(1.07, 0.03), (0.07, 0.0)), (lens(radial=0.15), (0.0, 0.15))):
        slight = judged(LensHistory(error_factor), one)
        assert (open_errors(slight) > errors).all()
        assert slight.fault == ""


def test_many_images_tell_more_than_one():
    history, slight = LensHistory(), lens(1.09, sigma=0.06)
    said = [judged(history, slight, step).fault for step in range(12)]
    assert not any(said[:4])
    assert "a focal length of 1.0" in said[-1]
    # Another calibration is another camera.
    other = dataclasses.replace(CAMERA, focal_x=535.0, focal_y=535.0)
    assert judged(history, slight, camera=other).fault == ""


def test_right_calibrations_err_to_both_sides():
    history = LensHistory()
    for step in range(30):
        side = (0, 1, -1)[step % 3]
        assert judged(history, lens(1.0 + 0.08 * side, 0.06, 0.1 * side), step).fault == ""


def test_cameras_of_a_rig_that_take_turns_are_judged_one_by_one():
    history, right = LensHistory(), dataclasses.replace(CAMERA, focal_x=300.0, focal_y=300.0)
    slight = lens(1.09, sigma=0.06)
    for step in range(12):
        said = judged(history, slight, step).fault
        assert judged(history, lens(), step, camera=right).fault == ""
    assert "a focal length of 1.0" in said
    # Of many cameras, as of one that zooms, those used last are remembered.
    for step in range(8):
        other = dataclasses.replace(CAMERA, focal_x=600.0 + step)
        assert judged(history, lens(), camera=other).fault == ""
    assert judged(history, slight, 30).fault == ""
