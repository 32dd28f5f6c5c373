"""Loop closures of a real drive, with and without the calibration of its camera."""

import math
from pathlib import Path

import numpy as np
import pytest

from progeo_core.geo import wrap_angle
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.inference.loading import load_encoder
from progeo_core.poses.planar_pose import between
from progeo_core.slam.loop_closure import LoopClosure
from progeo_core.slam.loop_refinement import CameraYaw
from test.campus_laps import CAMERA, Laps, close, read_laps
from test.drifting_drive import Poses, drifting, stamp

# Nine in ten of a squared error over its variance, for three numbers.
NINE_IN_TEN = 6.251


@pytest.fixture(scope="module")
def laps(campus_loop: Path) -> Laps:
    return read_laps(campus_loop, load_encoder(device="cpu"))


def errors(closures: list[LoopClosure], truth: Poses) -> tuple[Poses, Poses]:
    """Return x, y (m), yaw (rad) [n, 3] of closures less the truth, and their variances."""
    said, true, variance = [], [], []
    for one in closures:
        query, match = (end.stamp_ns // stamp(0) - 1 for end in (one.query, one.match))
        said.append(one.relative.pose)
        true.append(between(truth[match], truth[query]))
        variance.append(one.relative.covariance[np.ix_([0, 1, 5], [0, 1, 5])])
    error = np.array(said) - np.array(true)
    error[:, 2] = wrap_angle(error[:, 2])
    return error, np.array(variance)


def share_within(error: Poses, variance: Poses) -> float:
    """Return the share of the truths in the ellipsoids that should hold nine in ten."""
    squared = [one @ np.linalg.solve(cov, one) for one, cov in zip(error, variance, strict=True)]
    return float(np.mean(np.array(squared) < NINE_IN_TEN))


@pytest.mark.slow
@pytest.mark.parametrize("mounted", [0.0, math.pi / 2], ids=["looks ahead", "looks left"])
def test_a_calibrated_camera_makes_closures_finer(laps: Laps, mounted: float) -> None:
    truth = laps.truth.copy()
    truth[:, 2] = wrap_angle(truth[:, 2] - mounted)
    odometry = drifting(truth, "middle", np.random.default_rng(0))
    plain, finer = (close(laps, odometry, camera) for camera in (None, CAMERA))
    assert [one.query.stamp_ns for one in plain] == [one.query.stamp_ns for one in finer]
    before, _ = errors(plain, truth)
    after, variance = errors(finer, truth)
    assert np.median(np.abs(after[:, 2])) < 0.3 * np.median(np.abs(before[:, 2]))
    assert np.median(np.hypot(*after[:, :2].T)) < 0.9 * np.median(np.hypot(*before[:, :2].T))
    assert share_within(after, variance) >= 0.85
    assert np.linalg.eigvalsh(variance).min() > 0.0


@pytest.mark.slow
def test_without_odometry_the_turn_alone_is_told(laps: Laps) -> None:
    closures = close(laps, None, CAMERA)
    error, variance = errors(closures, laps.truth)
    refined = variance[:, 2, 2] < 0.1**2
    assert np.mean(refined) > 0.5
    assert np.median(np.abs(error[refined, 2])) < 0.03
    assert variance[:, 0, 0].min() == variance[:, 1, 1].min() == 1e6


@pytest.mark.slow
def test_a_camera_that_is_no_longer_calibrated_or_another_one_changes_nothing(laps: Laps) -> None:
    odometry = drifting(laps.truth, "middle", np.random.default_rng(0))
    plain = close(laps, odometry, None)
    other = close(laps, odometry, Intrinsics(640, 640, 320.0, 320.0, 320.0, 320.0))
    for first, second in zip(plain, other, strict=True):
        np.testing.assert_array_equal(first.relative.pose, second.relative.pose)


def test_nothing_is_known_before_a_few_pairs() -> None:
    camera = CameraYaw()
    for _ in range(4):
        camera.add(0.5, 0.0)
        assert math.isnan(camera.yaw_rad)
    camera.add(0.5, 0.0)
    assert camera.yaw_rad == pytest.approx(-0.5)


def test_a_camera_that_looks_backward_and_a_pair_that_is_wrong() -> None:
    camera = CameraYaw()
    for noise in np.random.default_rng(0).normal(0.0, 0.1, 12):
        camera.add(math.pi + float(noise), 0.0)
    camera.add(0.0, 0.0)
    assert abs(camera.yaw_rad) == pytest.approx(math.pi, abs=0.15)


def test_pairs_that_contradict_each_other_or_are_no_numbers_say_nothing() -> None:
    camera = CameraYaw()
    for bearing in np.linspace(-math.pi, math.pi, 12):
        camera.add(float(bearing), 0.0)
    assert math.isnan(camera.yaw_rad)
    only_nan = CameraYaw()
    for _ in range(12):
        only_nan.add(math.nan, 0.0)
    assert math.isnan(only_nan.yaw_rad)


def test_the_newest_pairs_count() -> None:
    camera = CameraYaw()
    for turned in (0.0, 1.0):
        for _ in range(20):
            camera.add(0.0, turned)
    assert camera.yaw_rad == pytest.approx(1.0)
