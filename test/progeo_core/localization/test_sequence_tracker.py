import numpy as np
import pytest

from progeo_core.localization.place_filter import PlaceFilter
from progeo_core.localization.sequence_tracker import SequenceTracker
from progeo_core.poses.pose_buffer import PoseBuffer

SECOND = 1_000_000_000
LINE = np.array([[x, 0.0, 0.0] for x in range(40)], dtype=float)
ROWS = np.arange(len(LINE))


def views():
    """Views of places on a line: neighbours share half of what they show."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(len(LINE) + 1, 200))
    shown = parts[:-1] + parts[1:]
    return (shown / np.linalg.norm(shown, axis=1, keepdims=True)).astype(np.float32)


VIEWS = views()


def track(odometry=None):
    return SequenceTracker(PlaceFilter(LINE, 1.0), neighbour_similarity=0.5, odometry=odometry)


def observe(place_track, stamp_s, row):
    view = VIEWS[row]
    return place_track.observe(
        round(stamp_s * SECOND), view, ROWS, lambda rows: (VIEWS[rows] @ view).astype(float)
    )


def test_track_finds_the_moving_camera():
    place_track = track()
    for row in range(8):
        seen = observe(place_track, 100 + row, row)
    assert seen.steps == 8
    assert seen.belief.rows[0] == 7
    assert seen.belief.probability[0] > 0.8


def test_same_image_again_is_no_new_evidence():
    place_track = track()
    first = observe(place_track, 1, 5)
    for stamp_s in range(2, 30):
        again = observe(place_track, stamp_s, 5)
        assert again == first._replace(counted=False)
    assert first.counted


@pytest.mark.parametrize("stamps", [(10, 10), (0, 0)])
def test_duplicate_and_unknown_stamps_still_count_when_the_view_changed(stamps):
    place_track = track()
    observe(place_track, stamps[0], 5)
    assert observe(place_track, stamps[1], 6).steps == 2


def test_late_image_changes_nothing():
    place_track = track()
    observe(place_track, 10.0, 5)
    last = observe(place_track, 11.0, 6)
    assert observe(place_track, 10.5, 30) == last._replace(counted=False)


def test_time_set_back_starts_anew():
    place_track = track()
    for row in range(8):
        observe(place_track, 100 + row, row)
    assert observe(place_track, 3, 20).steps == 1


def test_jump_is_doubted_at_once():
    place_track = track()
    for row in range(8):
        seen = observe(place_track, 100 + row, row)
    before = seen.belief.probability[:3].sum()
    after = observe(place_track, 108, 30).belief
    old_place = after.probability[np.abs(after.rows - 8) <= 2].sum()
    assert before > 0.8
    assert old_place < 0.3


def test_odometry_tells_a_fast_step_from_a_jump():
    odometry = PoseBuffer()
    place_track = track(odometry)
    for row in range(0, 24, 4):
        odometry.add((100 + row) * SECOND, [float(row), 0.0, 0.0], 0.0)
        seen = observe(place_track, 100 + row, row)
    assert seen.belief.rows[0] == 20
    assert seen.belief.off_map < 0.2


def test_reset_forgets():
    place_track = track()
    observe(place_track, 1, 5)
    place_track.reset()
    assert observe(place_track, 2, 5).steps == 1


def test_drive_whose_images_always_share_little_is_no_string_of_jumps():
    doubts = []

    class Recording(PlaceFilter):
        def doubt(self, share):
            doubts.append(share)
            super().doubt(share)

    place_track = SequenceTracker(Recording(LINE, 1.0), neighbour_similarity=0.5)
    for step in range(30):
        observe(place_track, 100 + step, 4 * step % len(LINE))
    assert doubts[0] > 0.5
    assert doubts[-1] < 0.1


def test_cameras_of_one_stamp_settle_together_what_each_leaves_open():
    # The front view is that of rows 5 and 30, the left view that of rows 5 and 20.
    looks = {"front": (5, 30), "left": (5, 20)}
    rng = np.random.default_rng(3)

    def look(place_track, camera, stamp_s):
        view = rng.normal(size=200).astype(np.float32)
        alike = np.where(np.isin(ROWS, looks[camera]), 0.45, 0.0)
        return place_track.observe(
            round(stamp_s * SECOND), view, ROWS, lambda rows: alike[rows], camera=camera
        ).belief

    alone = look(track(), "front", 1.0)
    both = track()
    look(both, "front", 1.0)
    joint = look(both, "left", 1.0)
    assert alone.probability[0] == pytest.approx(alone.probability[1])
    assert joint.rows[0] == 5
    assert joint.probability[0] > 0.9


def test_camera_a_little_behind_another_still_counts_but_its_own_late_image_does_not():
    place_track = track()
    for camera, stamp_s, row, steps in (
        ("front", 10.0, 5, 1),
        ("left", 9.95, 20, 2),
        ("left", 9.9, 30, 2),
        ("left", 11.0, 21, 3),
    ):
        view = VIEWS[row]
        seen = place_track.observe(
            round(stamp_s * SECOND),
            view,
            ROWS,
            lambda rows, view=view: (VIEWS[rows] @ view).astype(float),
            camera=camera,
        )
        assert seen.steps == steps


def test_passer_by_does_not_move_a_robot_whose_odometry_says_that_it_stands():
    odometry = PoseBuffer()
    place_track = track(odometry)
    for row in range(8):
        odometry.add((100 + row) * SECOND, [float(row), 0.0, 0.0], 0.0)
        seen = observe(place_track, 100 + row, row)
    assert seen.belief.rows[0] == 7
    # Parked for a minute, then somebody fills the picture.
    odometry.add(170 * SECOND, [7.0, 0.0, 0.0], 0.0)
    view = np.random.default_rng(5).normal(size=200).astype(np.float32)
    hidden = place_track.observe(
        170 * SECOND, view, ROWS, lambda rows: np.full(len(rows), 0.05)
    ).belief
    assert hidden.rows[0] == 7
    clear = observe(place_track, 171, 7).belief
    assert clear.rows[0] == 7
    assert clear.probability[np.abs(clear.rows - 7) <= 1].sum() > 0.8
