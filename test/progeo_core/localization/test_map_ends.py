import numpy as np

from progeo_core.localization.map_ends import MapEnds


def ends(position, radius_m=2.0):
    """Return the rows of the places at which a map ends."""
    where = np.column_stack([position, np.zeros(len(position))])
    return np.flatnonzero(MapEnds(where, radius_m).at_end(where)).tolist()


def test_a_line_ends_where_no_place_is_a_radius_further_on():
    line = np.column_stack([np.arange(20.0), np.zeros(20)])
    assert ends(line) == [0, 1, 2, 17, 18, 19]
    assert ends(line + np.random.default_rng(0).normal(0.0, 0.2, line.shape)) != []


def test_a_lap_has_no_end_though_it_bends():
    angle = np.arange(40) * np.pi / 20.0
    assert ends(6.0 * np.column_stack([np.cos(angle), np.sin(angle)])) == []


def test_an_area_ends_at_its_corners():
    area = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0)), -1).reshape(-1, 2)
    found = ends(area)
    assert {0, 8, 72, 80} <= set(found)
    assert 40 not in found


def test_nearest_places_are_within_two_radii():
    line = np.arange(20.0)[:, None] * [1.0, 0.0, 0.0]
    ends_of_line = MapEnds(line, 2.0)
    assert ends_of_line.nearest(line[19], 3) == [(19, 0.0), (18, 1.0), (17, 2.0)]
    assert [row for row, _ in ends_of_line.nearest(line[0], 10)] == [0, 1, 2, 3, 4]


def test_a_lonely_place_is_an_end():
    assert ends(np.array([[0.0, 0.0], [100.0, 0.0]])) == [0, 1]
