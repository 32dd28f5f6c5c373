import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.images.intrinsics import Intrinsics
from progeo_core.poses.camera_pose import CameraPose, quaternion_of
from progeo_core.verification.absolute_pose import FIRST_ERROR_PX, fitted_pose
from progeo_core.verification.calibration_check import Lens, LensHistory, fitting_lens

PIXEL = 1.0 / 500.0


def seen(scale=1.0, radial=0.0, wrong=0.3):
    """Return rays of landmarks, by a calibration that lacks a scale and a distortion."""
    random = np.random.default_rng(3)
    landmarks = random.uniform([-2.0, -1.5, 2.0], [2.0, 1.5, 6.0], (400, 3))
    turn = Rotation.from_euler("y", 5, degrees=True).as_matrix()
    pose = CameraPose(np.array([0.3, -0.1, 0.2]), quaternion_of(turn))
    inside = pose.to_camera(landmarks)
    rays = inside[:, :2] / inside[:, 2:]
    rays = rays * (scale + radial * (rays**2).sum(axis=1, keepdims=True))
    rays += random.normal(scale=0.7 * PIXEL, size=rays.shape)
    moved = random.permutation(400)[: int(400 * wrong)]
    rays[moved] = random.uniform(-0.5, 0.5, (len(moved), 2))
    return rays, landmarks, pose


def fitted(rays, landmarks):
    return fitting_lens(rays, landmarks, fitted_pose(rays, landmarks, FIRST_ERROR_PX).pose)


def test_a_right_calibration_stands_though_matches_are_wrong():
    rays, landmarks, pose = seen()
    lens = fitting_lens(rays, landmarks, pose)
    assert not lens.contradicts()
    assert lens.scale == pytest.approx(1.0, abs=0.005)
    assert lens.radial == pytest.approx(0.0, abs=0.01)
    assert lens.shift_px < 1.0
    assert lens.gain == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("scale", [0.7, 1.3, 1.6])
def test_another_focal_length_is_named(scale):
    rays, landmarks, _ = seen(scale)
    lens = fitted(rays, landmarks)
    assert lens.contradicts()
    assert lens.scale == pytest.approx(scale, abs=0.02)
    assert f"a focal length of {lens.scale:.2f} times" in lens.fault


def test_rectified_images_with_the_calibration_of_raw_ones_are_told_apart():
    rays, landmarks, _ = seen(radial=0.4)
    lens = fitted(rays, landmarks)
    assert lens.contradicts()
    assert lens.radial == pytest.approx(0.4, abs=0.05)
    assert "another distortion" in lens.fault


def test_points_behind_the_camera_change_nothing():
    rays, landmarks, pose = seen()
    behind = pose.to_map(np.tile([0.1, 0.1, -2.0], (30, 1)))
    lens = fitting_lens(
        np.concatenate([rays, np.zeros((30, 2))]), np.concatenate([landmarks, behind]), pose
    )
    assert not lens.contradicts()
    assert lens.gain == pytest.approx(1.0, abs=0.02)


def test_many_images_tell_more_than_one():
    camera = Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0)
    slight = Lens(scale=1.07, radial=0.0, shift_px=10.0, gain=1.05)
    history, start = LensHistory(), np.zeros(3)
    assert not slight.contradicts()
    # A camera that stands still says the same again and again.
    assert not any(history.fault(camera, slight, start) for _ in range(30))
    said = [history.fault(camera, slight, start + 0.3 * step) for step in range(1, 12)]
    assert not any(said[:6])
    assert "a focal length of 1.07 times" in said[-1]
    # Another calibration is another camera.
    other = dataclasses.replace(camera, focal_x=535.0, focal_y=535.0)
    assert history.fault(other, slight, start) == ""


def test_cameras_of_a_rig_that_take_turns_are_judged_one_by_one():
    left = Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0)
    right = dataclasses.replace(left, focal_x=300.0, focal_y=300.0)
    history = LensHistory()
    slight, fitting = Lens(1.07, 0.0, 10.0, 1.05), Lens(1.0, 0.0, 1.0, 1.0)
    said = []
    for step in range(12):
        position = np.array([0.3 * step, 0.0, 0.0])
        said.append(history.fault(left, slight, position))
        assert history.fault(right, fitting, position) == ""
    assert not any(said[:6])
    assert "a focal length of 1.07 times" in said[-1]
    # Of many cameras, as of one that zooms, those used last are remembered.
    for step in range(8):
        other = dataclasses.replace(left, focal_x=600.0 + step)
        assert history.fault(other, fitting, np.zeros(3)) == ""
    assert history.fault(left, slight, np.array([9.0, 0.0, 0.0])) == ""


def test_right_calibrations_err_to_both_sides():
    camera, history = Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0), LensHistory()
    for step in range(30):
        side = (0, 1, -1)[step % 3]
        lens = Lens(1.0 + 0.08 * side, 0.1 * side, 10.0, 1.05)
        assert history.fault(camera, lens, np.array([0.3 * step, 0.0, 0.0])) == ""
