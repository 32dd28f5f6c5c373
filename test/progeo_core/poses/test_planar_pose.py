import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.poses.planar_pose import between, compose

POSES = st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-3.1, 3.1))


@given(POSES, POSES)
def test_between_undoes_compose(first, then) -> None:
    there = compose(first, then)
    back = between(first, there)
    assert back[:2] == pytest.approx(np.array(then[:2]), abs=1e-6)
    assert np.cos(back[2] - then[2]) == pytest.approx(1.0)


def test_a_step_ahead_follows_the_yaw() -> None:
    assert compose([1.0, 2.0, np.pi / 2], [3.0, 0.0, 0.1]) == pytest.approx(
        [1.0, 5.0, np.pi / 2 + 0.1]
    )


def test_arrays_of_poses_are_taken_row_by_row() -> None:
    poses = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, np.pi]])
    assert between(poses, [2.0, 0.0, 0.0])[:, 0] == pytest.approx([2.0, -1.0])
