import numpy as np
from scipy.spatial.transform import Rotation

from progeo_core.verification.view_neighbors import ViewNeighbors


def cameras(position, yaw_deg):
    """Return neighbours among cameras that look level, in a direction each."""
    turn = Rotation.from_euler("xz", np.column_stack([np.full(len(yaw_deg), -90.0), yaw_deg]), True)
    return ViewNeighbors(np.array(position, np.float64), turn.as_matrix())


def test_neighbors_are_spread_over_near_and_far():
    line = np.arange(200)[:, None] * [0.1, 0.0, 0.0]
    rows = cameras(line, np.zeros(200)).of(100)
    distance = np.abs(rows - 100) * 0.1
    assert 100 not in rows
    assert (np.diff(distance) >= 0.0).all()
    assert distance[0] < 0.11
    assert distance[-1] > 2.0
    assert (rows > 100).any()
    assert (rows < 100).any()


def test_cameras_that_look_elsewhere_or_stand_at_the_same_point_are_none():
    position = [[0.0, 0.0, 0.0], [0.0, 0.001, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
    neighbors = cameras(position, [0.0, 0.0, 90.0, 20.0])
    assert neighbors.of(0).tolist() == [3]


def test_a_place_alone_has_none():
    assert cameras([[1.0, 2.0, 3.0]], [0.0]).of(0).tolist() == []
    assert len(cameras([[0.0, 0.0, 0.0]] * 3, [0.0] * 3).of(1)) == 0
