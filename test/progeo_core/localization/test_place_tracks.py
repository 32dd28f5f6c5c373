import numpy as np
import pytest

from progeo_core.localization.place_tracks import Arrivals, arrived, standing

POSITION = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])


def arrivals(rows, mass, x):
    camera = np.zeros((len(rows), 3))
    camera[:, 0] = x
    return Arrivals(np.array(rows, np.int64), np.array(mass), camera, 2.0 * camera)


def test_what_arrives_at_a_place_is_one_track_of_its_mean():
    tracks = arrived(arrivals([2, 1], [0.3, 0.1], [2.2, 1.0]), arrivals([2], [0.1], [1.8]), 2.0)
    np.testing.assert_array_equal(tracks.rows, [1, 2])
    np.testing.assert_allclose(tracks.mass, [0.1, 0.4])
    np.testing.assert_allclose(tracks.camera[:, 0], [1.0, 2.1])
    np.testing.assert_allclose(tracks.velocity[:, 0], [1.0, 2.1])
    np.testing.assert_allclose(tracks.led, [1.0, 0.75])


def test_nothing_arrives_nowhere():
    nothing = arrivals([], [], [])
    assert arrived(nothing, nothing, 1.0).total == 0.0


def test_what_enters_where_belief_is_dilutes_its_velocity():
    moving = arrived(arrivals([1], [0.3], [1.2]), arrivals([], [], []), 1.0)
    tracks = moving.entered(standing(np.array([1, 0]), POSITION, 0.1))
    np.testing.assert_allclose(tracks.mass, [0.4, 0.1])
    np.testing.assert_allclose(tracks.camera[:, 0], [1.15, 0.0])
    np.testing.assert_allclose(tracks.steady, [0.75, 0.0])
    np.testing.assert_allclose(tracks.led, [0.75, 0.0])


def test_heaviest_come_first_and_tracks_are_joined_as_they_are():
    tracks = standing(np.array([0, 2]), POSITION, 0.1).scaled(np.array([1.0, 3.0]))
    assert tracks.select(tracks.heaviest(1)).rows.tolist() == [2]
    both = tracks.joined(tracks.scaled(0.5))
    assert both.rows.tolist() == [0, 2, 0, 2]
    assert both.total == pytest.approx(0.6)


def test_of_a_view_that_changed_what_stands_keeps_less():
    still = standing(np.array([0]), POSITION, 0.4)._replace(steady=np.array([0.5]))
    moving = arrived(arrivals([1], [0.5], [0.5]), arrivals([], [], []), 1.0)
    tracks = still.joined(moving).less_slow(1.0, 0.5)
    kept = 0.5 + 0.5 * np.exp(-2.0)
    np.testing.assert_allclose(tracks.mass, [0.4 * kept, 0.5])
    np.testing.assert_allclose(tracks.steady, [1.0 - 0.5 / kept, 1.0])
