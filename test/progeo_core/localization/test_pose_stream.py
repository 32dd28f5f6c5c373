"""A stream of poses: no step but the motion's and a bounded one, and jumps are announced."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.localization.answer import Localization
from progeo_core.localization.pose_stream import OdomInMap, PoseStream, odom_in_map
from progeo_core.poses.planar_pose import between, compose
from progeo_core.poses.pose_buffer import BufferedPose, PoseBuffer
from progeo_core.poses.pose_estimate import PoseEstimate

S = 1_000_000_000
SIGMA_M, SIGMA_RAD = 0.6, 0.26
METRES = st.floats(-1e3, 1e3)
POSES = st.tuples(METRES, METRES, METRES, st.floats(-math.pi, math.pi))


def answer(second: float, pose, *, sigma_m: float = SIGMA_M, accepted: bool = True) -> Localization:
    """Return an answer at a time, of a pose x, y, yaw."""
    variance = [sigma_m**2] * 3 + [1e6, 1e6, SIGMA_RAD**2]
    estimate = PoseEstimate(np.array([*pose[:2], 0.0]), pose[2], np.diag(variance), 0.95)
    nothing = np.empty(0, np.float32)
    stamp_ns = round((1000.0 + second) * S)
    return Localization(stamp_ns, "", estimate, None, accepted, "", "right", (), nothing)


def planar(followed: Localization) -> np.ndarray:
    return np.array([*followed.estimate.position[:2], followed.estimate.yaw_rad])


def curve(second: float) -> np.ndarray:
    """Return where a robot is that drives a circle at 1 m/s."""
    angle = second / 5.0
    return np.array([5.0 * math.sin(angle), 5.0 - 5.0 * math.cos(angle), angle])


class Drive:
    """A robot on the curve, with odometry from elsewhere and answers that err."""

    def __init__(self, rate_hz: float, *, odometry: bool = True, seed: int = 0) -> None:
        self.buffer, self.rng = PoseBuffer(), np.random.default_rng(seed)
        self.stream, self.second = PoseStream(self.buffer), 0.0
        self.rate_hz, self.has_odometry = rate_hz, odometry
        self.in_odom = np.array([30.0, -20.0, 1.0])

    def odometry(self) -> np.ndarray:
        return compose(self.in_odom, curve(self.second))

    def next(self, offset=None, sigma_m: float = SIGMA_M) -> Localization:
        """Answer the next image with an error: a given one, or one of the answer's deviations."""
        self.second += 1.0 / self.rate_hz
        if self.has_odometry:
            x, y, yaw = self.odometry()
            self.buffer.add(round((1000.0 + self.second) * S), [x, y, 0.0], yaw)
        error = self.rng.normal(size=3) * [SIGMA_M, SIGMA_M, SIGMA_RAD]
        pose = curve(self.second) + (error if offset is None else offset)
        return self.stream.follow(answer(self.second, pose, sigma_m=sigma_m))


def place(drive: Drive, offset_m: float) -> np.ndarray:
    """Return x, y of where the robot is, and some metres east of it."""
    return np.add(curve(drive.second)[:2], [offset_m, 0.0])


@pytest.mark.parametrize("rate_hz", [1.0, 10.0])
def test_poses_move_as_odometry_does_and_by_no_more_than_the_rate(rate_hz: float) -> None:
    drive = Drive(rate_hz)
    before, moved = drive.next(), drive.odometry()
    assert before.relocalized
    errors = []
    for _ in range(60):
        after, now = drive.next(), drive.odometry()
        assert not after.relocalized
        expected = compose(planar(before), between(moved, now))
        assert math.dist(expected[:2], planar(after)[:2]) <= 1.0 / rate_hz + 1e-9
        turn = between(expected, planar(after))[2]
        assert abs(turn) <= 0.5 / rate_hz + 1e-9
        errors.append(math.dist(planar(after)[:2], curve(drive.second)[:2]))
        before, moved = after, now
    # Answers err by 0.85 m each (root mean square), independently here.
    raw = SIGMA_M * math.sqrt(2.0)
    assert np.sqrt(np.mean(np.square(errors))) < 0.9 * raw


def test_the_covariance_covers_what_is_still_to_come_in() -> None:
    drive = Drive(10.0)
    drive.next([0.0, 0.0, 0.0])
    left, variances = [], []
    for _ in range(120):
        followed = drive.next([1.5, 0.0, 0.0])
        left.append(math.dist(planar(followed)[:2], place(drive, 1.5)))
        variances.append(np.trace(followed.estimate.covariance[:2, :2]) - 2.0 * SIGMA_M**2)
    assert left[0] == pytest.approx(1.4, abs=0.02)
    assert left[-1] < 0.1
    assert variances == pytest.approx(np.square(left), abs=1e-9)


def test_a_precise_answer_comes_in_sooner() -> None:
    left = []
    for sigma_m in (SIGMA_M, 0.02):
        drive = Drive(10.0)
        drive.next([0.0, 0.0, 0.0])
        followed = [drive.next([0.5, 0.0, 0.0], sigma_m=sigma_m) for _ in range(10)][-1]
        left.append(math.dist(planar(followed)[:2], place(drive, 0.5)))
    assert left[0] > 0.05
    assert left[1] < 0.01


def test_who_was_carried_away_is_announced_and_followed_there_at_once() -> None:
    for odometry in (True, False):
        drive = Drive(1.0, odometry=odometry)
        for _ in range(10):
            assert "found again" not in drive.next().reason
        found = drive.next([40.0, 0.0, 0.0])
        assert found.relocalized
        assert "; found again " in found.reason
        assert planar(found)[:2] == pytest.approx(place(drive, 40.0))
        assert not drive.next([40.0, 0.0, 0.0]).relocalized
        turned_round = drive.next([40.0, 0.0, 3.0])
        assert turned_round.relocalized == odometry


def test_images_that_are_stamped_too_close_do_not_hold_poses_back() -> None:
    drive = Drive(10.0, odometry=False)
    drive.next([0.0, 0.0, 0.0])
    for step in range(1, 20):  # 60 m/s, as by photos that a bag has at 10 Hz
        followed = drive.next([6.0 * step, 0.0, 0.0])
        assert math.dist(planar(followed)[:2], place(drive, 6.0 * step)) < 0.5


def test_without_odometry_a_pose_goes_as_fast_as_the_answers_did() -> None:
    drive = Drive(10.0, odometry=False)
    poses = [planar(drive.next([0.0, 0.0, 0.0])) for _ in range(30)]
    poses += [planar(drive.next([1.5, 0.0, 0.0])) for _ in range(30)]
    steps = np.linalg.norm(np.diff(np.array(poses)[:, :2], axis=0), axis=1)
    assert steps[:28] == pytest.approx(0.1, abs=0.01)
    assert steps[28:].max() < 0.5
    assert poses[-1][:2] == pytest.approx(place(drive, 1.5), abs=0.01)


def test_a_map_without_directions_still_gives_poses_that_do_not_jump() -> None:
    drive = Drive(10.0)
    poses = [drive.next([0.0, 0.0, math.nan]) for _ in range(5)]
    poses += [drive.next([1.5, 0.0, math.nan]) for _ in range(30)]
    assert not any(one.relocalized for one in poses[1:])
    assert all(math.isnan(one.estimate.yaw_rad) for one in poses)
    steps = np.linalg.norm(np.diff([planar(one)[:2] for one in poses], axis=0), axis=1)
    assert steps.max() <= 0.2 + 1e-3  # the robot's 0.1 m, and as much again


def test_withheld_late_and_unstamped_answers_do_not_move_the_stream() -> None:
    drive = Drive(10.0)
    for _ in range(5):
        last = drive.next([0.0, 0.0, 0.0])
    far = np.array([*place(drive, 1.0), curve(drive.second)[2]])
    withheld = answer(drive.second, far, accepted=False)
    assert drive.stream.follow(withheld) is withheld
    late = drive.stream.follow(answer(drive.second - 0.05, far))
    assert math.dist(planar(late)[:2], curve(drive.second - 0.05)[:2]) < 0.01
    unstamped = drive.stream.follow(answer(-1000.0, far))
    assert unstamped.relocalized
    assert planar(unstamped).tolist() == far.tolist()
    again = drive.next([0.0, 0.0, 0.0])
    assert not again.relocalized
    assert math.dist(planar(again)[:2], planar(last)[:2]) == pytest.approx(0.1, abs=0.01)
    drive.second -= 50.0  # a bag that loops
    assert drive.next([0.0, 0.0, 0.0]).relocalized


def test_stamps_that_stand_do_not_hold_poses_back_but_an_image_twice_is_no_jump() -> None:
    stream = PoseStream(PoseBuffer())
    stream.follow(answer(0.0, [0.0, 0.0, 0.0]))
    for second, x_m in ((1.0, 1.0), (1.0, 2.0), (1.0, 3.0)):
        followed = stream.follow(answer(second, [x_m, 0.0, 0.0]))
    assert planar(followed)[0] == pytest.approx(3.0)
    assert not stream.follow(answer(1.0, [3.05, 0.0, 0.0])).relocalized


def test_the_origin_of_odometry_comes_in_steps_and_ends_at_the_pose() -> None:
    drive = Drive(1.0)
    first = drive.next([0.0, 0.0, 0.0])
    drive.stream.aim(first)
    robots = []
    for step in range(1, 51):
        if step == 10:
            target = drive.next([1.5, 0.0, 0.3])
            drive.stream.aim(target)
        x, y, yaw = compose(drive.in_odom, curve(1.0 + 0.05 * step))
        robot = BufferedPose(np.array([x, y, 0.0]), yaw, 0)
        origin = drive.stream.origin_at(round((1001.0 + 0.05 * step) * S), robot)
        robots.append((compose(origin.planar, robot.planar), robot))
    for (before, moved), (after, now) in itertools.pairwise(robots):
        expected = compose(before, between(moved.planar, now.planar))
        assert math.dist(expected[:2], after[:2]) <= 0.05 + 1e-9
        assert abs(between(expected, after)[2]) <= 0.025 + 1e-9
    lost = answer(drive.second, [90.0, 0.0, 0.0])
    drive.stream.reset()
    drive.stream.aim(drive.stream.follow(lost))
    found = drive.buffer.at(lost.stamp_ns)
    assert found is not None
    origin = drive.stream.origin_at(lost.stamp_ns, found)
    assert compose(origin.planar, found.planar) == pytest.approx([90.0, 0.0, 0.0], abs=1e-6)


def test_the_origin_jumps_to_who_was_found_before_the_odometry_told_of_it() -> None:
    drive = Drive(1.0)
    for _ in range(5):
        drive.stream.aim(drive.next([0.0, 0.0, 0.0]))
    drive.has_odometry = False
    found = drive.next([90.0, 0.0, 0.0])
    assert found.relocalized
    drive.stream.aim(found)
    drive.has_odometry = True
    target = drive.next([90.0, 0.0, 0.0])
    assert not target.relocalized
    drive.stream.aim(target)
    robot = drive.buffer.at(target.stamp_ns)
    assert robot is not None
    origin = drive.stream.origin_at(target.stamp_ns, robot)
    assert compose(origin.planar, robot.planar) == pytest.approx(planar(target), abs=1e-6)


@given(POSES, POSES)
def test_odom_in_map_then_odometry_is_the_answer(in_map, in_odom) -> None:
    *place, yaw = in_map
    robot = BufferedPose(np.array(in_odom[:3]), in_odom[3], 0)
    origin = odom_in_map(PoseEstimate(np.array(place), yaw, np.eye(6), 0.95), robot)
    assert isinstance(origin, OdomInMap)
    found = compose(origin.planar, robot.planar)
    assert found[:2] == pytest.approx(place[:2], abs=1e-6)
    assert math.cos(found[2] - yaw) == pytest.approx(1.0)
    assert origin.z_m + in_odom[2] == pytest.approx(place[2], abs=1e-6)
