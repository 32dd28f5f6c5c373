import numpy as np
import pytest

from progeo_core.localization.map_spacing import MapSpacing
from progeo_core.localization.place_filter import PlaceFilter
from progeo_core.localization.sequence_tracker import SequenceTracker
from progeo_core.poses.pose_buffer import PoseBuffer

SECOND = 1_000_000_000
LINE = np.array([[x, 0.0, 0.0] for x in range(40)], dtype=float)
ROWS = np.arange(len(LINE))
SPACING = MapSpacing(1.0, 0.5)


def descriptors():
    """Descriptors of places on a line: neighbours share half of what they show."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(len(LINE) + 1, 200))
    shown = parts[:-1] + parts[1:]
    return (shown / np.linalg.norm(shown, axis=1, keepdims=True)).astype(np.float32)


DESCRIPTORS = descriptors()


class Robot:
    """A tracker with the odometry and the map that it needs, as the ranker uses it."""

    def __init__(self, place_filter=None, odometry=None):
        self.odometry = odometry or PoseBuffer()
        self.tracker = SequenceTracker(place_filter or PlaceFilter(LINE, 1.0), SPACING)

    def sees(self, stamp_s, descriptor, camera="", similarity=None):
        """Take an image; return whether it counted."""
        stamp_ns = round(stamp_s * SECOND)
        travel = self.odometry.travel(self.tracker.last_stamp_ns, stamp_ns)
        carried = self.tracker.predict(stamp_ns, descriptor, camera, travel)
        if carried is None:
            return False
        rows = np.concatenate([carried, np.setdiff1d(ROWS, carried)])
        given = DESCRIPTORS @ descriptor if similarity is None else similarity
        alike = given[rows].astype(float)
        self.tracker.update(rows, alike, 22.0 * (alike - 0.125))
        return True

    def passes(self, stamp_s, row):
        """Take the image of a place; return whether it counted."""
        return self.sees(stamp_s, DESCRIPTORS[row])

    @property
    def belief(self):
        return self.tracker.belief


def test_track_finds_the_moving_camera():
    robot = Robot()
    for row in range(8):
        robot.passes(100 + row, row)
    assert robot.tracker.steps == 8
    assert robot.belief.rows[0] == 7
    assert robot.belief.probability[0] > 0.8


def test_same_image_again_is_no_new_evidence():
    robot = Robot()
    assert robot.passes(1, 5)
    first = robot.belief
    for stamp_s in range(2, 30):
        assert not robot.passes(stamp_s, 5)
    assert robot.belief is first
    assert robot.tracker.steps == 1


@pytest.mark.parametrize("stamps", [(10, 10), (0, 0)])
def test_duplicate_and_unknown_stamps_still_count_when_the_view_changed(stamps):
    robot = Robot()
    robot.passes(stamps[0], 5)
    assert robot.passes(stamps[1], 6)
    assert robot.tracker.steps == 2


def test_a_robot_whose_clock_stands_is_followed():
    robot = Robot()
    for row in range(12):
        robot.passes(100, row)
    assert robot.belief.rows[0] == 11
    assert robot.belief.probability[0] > 0.8


def test_late_image_changes_nothing():
    robot = Robot()
    robot.passes(10.0, 5)
    robot.passes(11.0, 6)
    last = robot.belief
    assert not robot.passes(10.5, 30)
    assert robot.belief is last


def test_time_set_back_starts_again():
    robot = Robot()
    for row in range(8):
        robot.passes(100 + row, row)
    robot.passes(3, 20)
    assert robot.tracker.steps == 1
    assert robot.tracker.last_stamp_ns == 3 * SECOND


def test_jump_is_doubted_at_once():
    robot = Robot()
    for row in range(8):
        robot.passes(100 + row, row)
    before = robot.belief.probability[:3].sum()
    robot.passes(108, 30)
    after = robot.belief
    old_place = after.probability[np.abs(after.rows - 8) <= 2].sum()
    assert before > 0.8
    assert old_place < 0.3


def test_odometry_tells_a_fast_step_from_a_jump():
    robot = Robot()
    for row in range(0, 24, 4):
        robot.odometry.add((100 + row) * SECOND, [float(row), 0.0, 0.0], 0.0)
        robot.passes(100 + row, row)
    assert robot.belief.rows[0] == 20
    assert robot.belief.off_map < 0.2


def test_reset_forgets():
    robot = Robot()
    robot.passes(1, 5)
    robot.tracker.reset()
    assert robot.passes(2, 5)
    assert robot.tracker.steps == 1


def test_more_evidence_of_an_image_moves_the_belief():
    robot = Robot()
    similarity = np.where(np.isin(ROWS, (5, 30)), 0.45, 0.0)
    robot.sees(1, DESCRIPTORS[5], similarity=similarity)
    before = robot.belief
    after = robot.tracker.weigh(np.where(before.rows == 30, 3.0, 0.0))
    assert after is robot.belief
    assert after.rows[0] == 30
    assert after.probability[0] > 0.8


def test_drive_whose_images_always_share_little_is_no_string_of_jumps():
    doubts = []

    class Recording(PlaceFilter):
        def doubt(self, share):
            doubts.append(share)
            super().doubt(share)

    robot = Robot(Recording(LINE, 1.0))
    for step in range(30):
        robot.passes(100 + step, 4 * step % len(LINE))
    assert doubts[0] > 0.5
    assert doubts[-1] < 0.1


def test_cameras_of_one_stamp_settle_together_what_each_leaves_open():
    # The front view is that of rows 5 and 30, the left view that of rows 5 and 20.
    looks = {"front": (5, 30), "left": (5, 20)}
    rng = np.random.default_rng(3)

    def look(robot, camera, stamp_s):
        descriptor = rng.normal(size=200).astype(np.float32)
        similarity = np.where(np.isin(ROWS, looks[camera]), 0.45, 0.0)
        robot.sees(stamp_s, descriptor, camera, similarity)
        return robot.belief

    alone = look(Robot(), "front", 1.0)
    both = Robot()
    look(both, "front", 1.0)
    joint = look(both, "left", 1.0)
    assert alone.probability[0] == pytest.approx(alone.probability[1])
    assert joint.rows[0] == 5
    assert joint.probability[0] > 0.9


def test_camera_a_little_behind_another_still_counts_but_its_own_late_image_does_not():
    robot = Robot()
    for camera, stamp_s, row, steps in (
        ("front", 10.0, 5, 1),
        ("left", 9.95, 20, 2),
        ("left", 9.9, 30, 2),
        ("left", 11.0, 21, 3),
    ):
        robot.sees(stamp_s, DESCRIPTORS[row], camera)
        assert robot.tracker.steps == steps


def test_passer_by_does_not_move_a_robot_whose_odometry_says_that_it_stands():
    robot = Robot()
    for row in range(8):
        robot.odometry.add((100 + row) * SECOND, [float(row), 0.0, 0.0], 0.0)
        robot.passes(100 + row, row)
    assert robot.belief.rows[0] == 7
    # Parked for a minute, then somebody fills the picture.
    robot.odometry.add(170 * SECOND, [7.0, 0.0, 0.0], 0.0)
    passer_by = np.random.default_rng(5).normal(size=200).astype(np.float32)
    robot.sees(170, passer_by, similarity=np.full(len(LINE), 0.05))
    assert robot.belief.rows[0] == 7
    robot.passes(171, 7)
    clear = robot.belief
    assert clear.rows[0] == 7
    assert clear.probability[np.abs(clear.rows - 7) <= 1].sum() > 0.8


def test_a_camera_that_stood_is_followed_when_it_drives_on():
    robot = Robot()
    for row in range(8):
        robot.passes(100 + row, row)
    for second in range(60):
        assert not robot.passes(108 + second, 7)
    # A minute at the fastest speed of a robot leads anywhere, had the images not shown it standing.
    robot.passes(168, 8)
    assert robot.belief.rows[0] == 8
    assert robot.belief.probability[0] > 0.8


def test_images_that_stay_the_same_but_show_no_place_are_no_sign_of_standing():
    robot = Robot()
    for row in range(8):
        robot.passes(100 + row, row)
    black = np.full(200, 200**-0.5, np.float32)
    nowhere = np.full(len(LINE), 0.1, np.float32)
    robot.sees(108, black, similarity=nowhere)
    before = robot.belief.off_map
    assert not robot.sees(138, black, similarity=nowhere)
    assert robot.belief.off_map > 0.9 > before
    assert robot.belief.probability.sum() == pytest.approx(1.0 - robot.belief.off_map)


def test_a_camera_that_stood_off_the_map_still_is():
    robot = Robot(PlaceFilter(LINE, 0.5))
    elsewhere = np.random.default_rng(1).normal(size=(12, 200)).astype(np.float32)
    for stamp_s, seen in enumerate(elsewhere[:-1]):
        robot.sees(100 + stamp_s, seen / np.linalg.norm(seen))
    assert robot.belief.off_map > 0.99
    for stamp_s in range(111, 141):
        assert not robot.sees(stamp_s, elsewhere[-2] / np.linalg.norm(elsewhere[-2]))
    robot.sees(141, elsewhere[-1] / np.linalg.norm(elsewhere[-1]), similarity=np.full(40, 0.15))
    assert robot.belief.off_map > 0.9


def test_a_tracker_goes_on_over_another_map_of_the_same_frame():
    robot = Robot()
    for step in range(6):
        robot.sees(step, DESCRIPTORS[10 + step])
    before = robot.tracker.belief
    # Places from 8 on, in another order.
    order = np.random.default_rng(1).permutation(np.arange(8, 40))
    other = SequenceTracker(PlaceFilter(LINE[order], 1.0), SPACING)
    other.continue_from(robot.tracker)
    carried = other.predict(7 * SECOND, DESCRIPTORS[17], "", None)
    assert carried is not None
    rows = np.concatenate([carried, np.setdiff1d(np.arange(len(order)), carried)])
    alike = (DESCRIPTORS[order] @ DESCRIPTORS[17])[rows].astype(float)
    belief = other.update(rows, alike, 8.0 * alike)
    assert before.probability[0] > 0.8
    assert (order[belief.rows[0]], belief.probability[0] > 0.8) == (17, True)
    assert other.steps == robot.tracker.steps + 1
    # Where nothing of what was believed is in the new map, nothing is known.
    far = SequenceTracker(PlaceFilter(LINE + 500.0, 1.0), SPACING)
    far.continue_from(robot.tracker)
    nothing = far.predict(7 * SECOND, DESCRIPTORS[17], "", None)
    assert nothing is not None
    assert not len(nothing)
