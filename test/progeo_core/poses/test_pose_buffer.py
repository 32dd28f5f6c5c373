import numpy as np
import pytest

from progeo_core.poses.pose_buffer import PoseBuffer

S = 1_000_000_000


@pytest.fixture
def buffer() -> PoseBuffer:
    """Return ten seconds of driving east at 1 m/s, ten poses a second."""
    filled = PoseBuffer()
    for tick in range(100, 201):
        filled.add(tick * S // 10, [tick / 10, 0.0, 0.0], 0.0)
    return filled


def test_poses_are_interpolated_and_a_little_late_ones_waited_for_no_longer(buffer) -> None:
    assert buffer.at(int(15.25 * S)).planar == pytest.approx([15.25, 0.0, 0.0])
    assert buffer.at(int(20.1 * S)).planar == pytest.approx([20.0, 0.0, 0.0])
    assert buffer.at(int(20.5 * S)) is None
    assert buffer.at(5 * S) is None
    assert PoseBuffer().at(S) is None


def test_a_gap_is_not_bridged(buffer) -> None:
    buffer.add(30 * S, [30.0, 0.0, 0.0], 0.0)
    assert buffer.at(25 * S) is None
    assert buffer.segment == 0


@pytest.mark.parametrize(
    ("stamp_s", "x"), [(20.1, 100.0), (3.0, 3.0)], ids=["a jump", "time again"]
)
def test_a_reset_begins_a_new_segment(buffer, stamp_s: float, x: float) -> None:
    buffer.add(int(stamp_s * S), [x, 0.0, 0.0], 0.0)
    found = buffer.at(int(stamp_s * S))
    assert (found.segment, found.position[0]) == (1, x)
    assert buffer.at(15 * S) is None


def test_disorder_and_nonsense_change_nothing(buffer) -> None:
    buffer.add(int(19.9 * S), [500.0, 0.0, 0.0], 0.0)
    buffer.add(0, [0.0, 0.0, 0.0], 0.0)
    buffer.add(21 * S, [np.nan, 0.0, 0.0], 0.0)
    assert buffer.segment == 0
    assert buffer.at(20 * S).position[0] == 20.0
