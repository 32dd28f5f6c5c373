import numpy as np
import pytest

from progeo_core.localization.place_tracks import Arrivals, arrived, standing

POSITION = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])


def arrivals(rows, mass, x, step=None):
    camera, steps = np.zeros((len(rows), 3)), np.zeros((len(rows), 3))
    camera[:, 0] = x
    steps[:, 0] = 2.0 * camera[:, 0] if step is None else step
    return Arrivals(np.array(rows, np.int64), np.array(mass), camera, steps)


def test_what_moves_alike_to_a_place_is_one_track_of_its_mean():
    tracks = arrived(arrivals([2, 1], [0.3, 0.1], [2.2, 1.0]), arrivals([2], [0.1], [1.8]), 2.0)
    np.testing.assert_array_equal(tracks.rows, [1, 2])
    np.testing.assert_allclose(tracks.mass, [0.1, 0.4])
    np.testing.assert_allclose(tracks.camera[:, 0], [1.0, 2.1])
    np.testing.assert_allclose(tracks.velocity[:, 0, 0], [1.0, 2.1])
    np.testing.assert_allclose(tracks.steady, [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(tracks.led[:, 0], [1.0, 0.75])


def test_a_place_keeps_the_three_heaviest_velocities_and_forgets_the_rest():
    led = arrivals([1], [0.2], [1.0], [1.0])
    other = arrivals([1] * 5, [0.3, 0.1, 0.1, 0.05, 0.05], [1.0] * 5, [3.0, 3.5, -1.0, 9.0, 0.9])
    tracks = arrived(led, other, 1.0)
    assert tracks.total == pytest.approx(0.8)
    np.testing.assert_allclose(tracks.velocity[0, :, 0], [3.125, 0.98, -1.0])
    np.testing.assert_allclose(tracks.steady[0], [0.5, 0.3125, 0.125])
    np.testing.assert_allclose(tracks.led[0], [0.0, 0.8, 0.0])


def test_belief_by_its_motions_is_all_of_it_with_what_is_known_of_each():
    led = arrivals([1], [0.2], [1.0], [1.0])
    other = arrivals([1] * 4, [0.3, 0.1, 0.06, 0.04], [1.0] * 4, [3.0, -1.0, 9.0, 20.0])
    tracks = arrived(led, other, 1.0).joined(standing(np.array([0]), POSITION, 0.3))
    moving = tracks.motions()
    assert moving.rows.tolist() == [1, 1, 1, 1, 0]
    np.testing.assert_allclose(moving.mass, [0.3, 0.2, 0.1, 0.1, 0.3])
    np.testing.assert_allclose(moving.velocity[:, 0], [3.0, 1.0, -1.0, 0.0, 0.0])
    np.testing.assert_allclose(moving.is_known, [1.0, 1.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(moving.led, [0.0, 1.0, 0.0, 0.0, 0.0])


def test_nothing_arrives_nowhere():
    nothing = arrivals([], [], [])
    assert arrived(nothing, nothing, 1.0).total == 0.0


def test_what_enters_where_belief_is_leaves_its_velocity_to_the_rest():
    moving = arrived(arrivals([1], [0.3], [1.2]), arrivals([], [], []), 1.0)
    tracks = moving.entered(standing(np.array([1, 0]), POSITION, 0.1))
    np.testing.assert_allclose(tracks.mass, [0.4, 0.1])
    np.testing.assert_allclose(tracks.camera[:, 0], [1.15, 0.0])
    np.testing.assert_allclose(tracks.steady[:, 0], [0.75, 0.0])
    np.testing.assert_allclose(tracks.velocity[0, 0], moving.velocity[0, 0])
    np.testing.assert_allclose(tracks.led[:, 0], [1.0, 0.0])


def test_heaviest_come_first_and_tracks_are_joined_as_they_are():
    tracks = standing(np.array([0, 2]), POSITION, 0.1).scaled(np.array([1.0, 3.0]))
    assert tracks.select(tracks.heaviest(1)).rows.tolist() == [2]
    both = tracks.joined(tracks.scaled(0.5))
    assert both.rows.tolist() == [0, 2, 0, 2]
    assert both.total == pytest.approx(0.6)


def test_of_a_view_that_changed_what_stands_keeps_less():
    half = np.array([[0.5, 0.0, 0.0]])
    still = standing(np.array([0]), POSITION, 0.4)._replace(steady=half)
    moving = arrived(arrivals([1], [0.5], [0.5]), arrivals([], [], []), 1.0)
    tracks = still.joined(moving).less_slow(1.0, 0.5)
    kept = 0.5 + 0.5 * np.exp(-2.0)
    np.testing.assert_allclose(tracks.mass, [0.4 * kept, 0.5])
    np.testing.assert_allclose(tracks.steady[:, 0], [1.0 - 0.5 / kept, 1.0])
