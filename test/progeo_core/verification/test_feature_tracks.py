import numpy as np
import pytest

from progeo_core.verification.feature_tracks import FeatureTracks
from test.known_views import camera, make_scene, moved


class Line:
    """Neighbours in a row: each place has the one before and the one after it."""

    def __init__(self, count):
        self.count = count

    def of(self, row):
        return np.array([n for n in (row - 1, row + 1) if 0 <= n < self.count])


@pytest.fixture(scope="module")
def scene():
    return make_scene()


def test_tracks_reach_the_neighbors_of_neighbors(scene):
    views = [camera(scene, [0.4 * row, 0, 0], 0, 0.3, row) for row in range(5)]
    tracks = FeatureTracks(Line(5).of, lambda row: views[row]).of(0)
    assert tracks.places == [1, 2]
    for features in tracks.features:
        seen = features >= 0
        assert seen.mean() > 0.9
        assert (features[seen] == np.flatnonzero(seen)).all()
    assert tracks.agreement.shape == (1,)


def test_a_place_that_contradicts_and_one_without_a_camera_are_left_out(scene):
    views = [camera(scene, [0.4 * row, 0, 0], 0, 0.3, row) for row in range(4)]
    views[2] = moved(views[2], [0, 3, -2])
    tracks = FeatureTracks(Line(4).of, lambda row: views[row]).of(1)
    assert tracks.places == [0]
    assert tracks.agreement[1] < 0.2
    tracks = FeatureTracks(Line(4).of, lambda row: None if row == 2 else views[row]).of(1)
    assert tracks.places == [0]
    assert np.isnan(tracks.agreement[1])
