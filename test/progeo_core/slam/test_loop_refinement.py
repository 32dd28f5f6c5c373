"""Loop closures of a real drive, with and without the calibration of its camera."""

import math
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.geo import wrap_angle
from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.codec import read_image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.inference.feature_extractor import shared_extractor
from progeo_core.inference.loading import load_encoder
from progeo_core.localization.answer import CameraFrame
from progeo_core.poses.extrinsics import Extrinsics
from progeo_core.poses.planar_pose import between
from progeo_core.poses.transform import Transform
from progeo_core.records.records import read_records
from progeo_core.slam.keyframes import Keyframe
from progeo_core.slam.loop_closure import LoopClosure
from progeo_core.slam.loop_pose import RelativePose
from progeo_core.slam.loop_refinement import LoopRefiner
from test.campus_laps import CAMERA, Laps, close, read_laps
from test.drifting_drive import Poses, drifting, stamp

# Nine in ten of a squared error over its variance, for three numbers.
NINE_IN_TEN = 6.251
# A camera that looks to the left of its robot.
MOUNTED = Extrinsics.from_text("0.1 0.2 0.5 -0.7071068 0 0 0.7071068")


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
def test_a_calibrated_camera_tells_the_turn(laps: Laps) -> None:
    odometry = drifting(laps.truth, "middle", np.random.default_rng(0))
    plain, finer = (close(laps, odometry, camera) for camera in (None, CAMERA))
    assert [one.query.stamp_ns for one in plain] == [one.query.stamp_ns for one in finer]
    before, _ = errors(plain, laps.truth)
    after, variance = errors(finer, laps.truth)
    assert np.median(np.abs(after[:, 2])) < 0.3 * np.median(np.abs(before[:, 2]))
    assert share_within(after, variance) >= 0.85
    assert np.linalg.eigvalsh(variance).min() > 0.0


@pytest.mark.slow
def test_where_the_camera_is_mounted_closures_are_metric_in_six_degrees_of_freedom() -> None:
    folder = Path(str(resources.files("progeo_core"))) / "demo_data" / "office"
    records = read_records(folder / "map.csv")
    camera = read_calibration(folder / "camera_info.yaml")
    robots = [
        Transform(*pose).then(MOUNTED.inverse())
        for pose in zip(records.position, records.orientation, strict=True)
    ]
    # The even images of the walk, then the odd ones.
    order = [*range(0, len(robots), 2), *range(1, len(robots), 2)]
    refiner, keyframes = LoopRefiner(shared_extractor("cpu")), []
    for number, row in enumerate(order):
        robot = robots[row]
        frame = CameraFrame(read_image(records.images[row]), number, "", camera, MOUNTED)
        refiner.keep(number, frame, robot)
        keyframes.append(Keyframe(number, number, planar(robot), 0, True, 0.0))
    moved, turned, inside, answered = [], [], [], 0
    first = len(robots) // 2 + 1
    for query in range(first, len(order)):
        match = query - first
        true = robots[order[match]].inverse().then(robots[order[query]])
        rough = RelativePose(planar(true) + np.array([0.2, -0.1, 0.05]), np.diag([0.1] * 6))
        closure = LoopClosure(keyframes[query], keyframes[match], 0.5, 20.0, 5, rough)
        (refined,) = refiner.refine((closure,), keyframes)
        full, covariance = refined.relative.full, refined.relative.covariance
        if full is None:
            continue
        answered += 1
        offset = full.position - true.position
        moved.append(np.linalg.norm(offset))
        turned.append(np.linalg.norm((turn_of(full) * turn_of(true).inv()).as_rotvec()))
        inside.append(offset @ np.linalg.solve(covariance[:3, :3], offset) < NINE_IN_TEN)
        np.testing.assert_allclose(refined.relative.pose, planar(full), atol=1e-9)
    print(
        answered,
        len(order) - first,
        np.median(moved),
        max(moved),
        np.median(turned),
        np.mean(inside),
    )
    assert answered >= 0.7 * (len(order) - first)
    assert np.median(moved) < 0.02
    assert max(moved) < 0.1
    assert np.median(turned) < 0.01
    assert np.mean(inside) >= 0.85


def planar(pose: Transform) -> Poses:
    ahead = turn_of(pose).as_matrix()[:, 0]
    return np.array([*pose.position[:2], math.atan2(ahead[1], ahead[0])])


def turn_of(pose: Transform) -> Rotation:
    return Rotation.from_quat(pose.orientation)


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
