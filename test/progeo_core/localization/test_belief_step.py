import numpy as np
import pytest

from progeo_core.localization.belief_step import BeliefStep
from progeo_core.localization.place_grid import PlaceGrid
from progeo_core.localization.place_tracks import MOTIONS, PlaceTracks
from progeo_core.poses.pose_buffer import Travel

LINE = np.array([[x, 0.0, 0.0] for x in range(30)], dtype=float)
# East along the line, then north from its end.
CORNER = np.concatenate([LINE, [[29.0, y, 0.0] for y in range(1, 10)]])


def move(position, camera, velocity, *, led=1.0, travel=None):
    """Return what is at places and what is beyond them, of belief in one place with a velocity."""
    unknown = np.full(len(position), np.nan)
    step = BeliefStep(position, unknown, PlaceGrid(position, 2.0), 1.0, 20.0)
    row = int(np.linalg.norm(position - camera, axis=1).argmin())
    one = np.eye(MOTIONS)[:1]
    velocity = one[:, :, np.newaxis] * np.array(velocity, float)
    camera = np.array([camera], float)
    old = PlaceTracks(np.array([row]), np.ones(1), camera, velocity, one, led * one)
    return step.move(old, 0.0, travel, 1.0, 2.0, None)


def test_between_places_no_belief_is_lost():
    on_map, beyond = move(LINE, [10.0, 0.0, 0.0], [1.0, 0.0, 0.0])
    assert on_map.rows[on_map.mass.argmax()] == 11
    assert on_map.total == pytest.approx(1.0)
    assert beyond.total == 0.0


@pytest.mark.parametrize("led", [0.0, 1.0])
def test_where_places_are_farther_apart_the_camera_goes_on_as_before(led):
    # Any two places and a gap: the nearest ones are a spacing before and behind the camera.
    gaps = LINE[np.arange(30) % 3 != 2]
    on_map, beyond = move(gaps, [10.0, 0.0, 0.0], [1.0, 0.0, 0.0], led=led)
    assert on_map.total == pytest.approx(1.0)
    assert on_map.mass @ on_map.camera[:, 0] == pytest.approx(11.0, abs=0.1)
    assert on_map.mass @ on_map.velocity[:, 0, 0] == pytest.approx(1.0, abs=0.1)
    assert beyond.total == 0.0


def test_just_behind_the_last_place_the_camera_is_where_it_was_led_to():
    on_map, beyond = move(LINE, [29.1, 0.0, 0.0], [1.0, 0.0, 0.0])
    assert on_map.rows[0] == 29
    assert on_map.camera[0, 0] == pytest.approx(30.1, abs=0.1)
    assert beyond.total == 0.0


def test_farther_on_it_is_beyond_the_place_that_it_left_and_keeps_its_velocity():
    on_map, beyond = move(LINE, [29.9, 0.0, 0.0], [1.0, 0.0, 0.0])
    assert on_map.total == pytest.approx(0.0)
    assert beyond.rows.tolist() == [29]
    assert beyond.total == pytest.approx(1.0)
    np.testing.assert_allclose(beyond.camera[0], [30.9, 0.0, 0.0])
    np.testing.assert_allclose(beyond.velocity[0, 0], [1.0, 0.0, 0.0])


def test_velocity_that_has_not_led_anywhere_yet_leads_to_nothing():
    on_map, beyond = move(LINE, [29.9, 0.0, 0.0], [1.0, 0.0, 0.0], led=0.0)
    assert on_map.total == pytest.approx(0.0)
    assert beyond.total == 0.0


def test_at_a_corner_half_follows_the_map_and_half_drives_on():
    on_map, _ = move(CORNER, [29.0, 0.0, 0.0], [1.0, 0.0, 0.0])
    at_corner = on_map.rows == 29
    assert on_map.mass[at_corner].sum() == pytest.approx(0.5, abs=0.05)
    assert on_map.camera[at_corner, 0] == pytest.approx(30.0, abs=0.1)
    assert on_map.mass[on_map.rows > 29].sum() == pytest.approx(0.5, abs=0.05)


def test_odometry_tells_whether_a_corner_is_followed():
    straight, _ = move(CORNER, [29.0, 0.0, 0.0], [1.0, 0.0, 0.0], travel=Travel(1.0, 0.0))
    assert straight.rows[straight.mass > 1e-6].tolist() == [29]
    turned, beyond = move(CORNER, [29.0, 0.0, 0.0], [1.0, 0.0, 0.0], travel=Travel(1.0, np.pi / 2))
    assert turned.rows[turned.mass.argmax()] == 30
    assert beyond.total == 0.0


def test_far_from_the_place_that_it_left_belief_is_off_the_map_like_any():
    near, far = (move(LINE, [x, 0.0, 0.0], [1.0, 0.0, 0.0])[1] for x in (40.0, 49.0))
    assert near.total == pytest.approx(1.0)
    assert far.total == 0.0
