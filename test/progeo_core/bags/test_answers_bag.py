import numpy as np
import pytest

from progeo_core.bags.answers_bag import (
    ANSWER_FIX_TOPIC,
    ANSWER_TOPIC,
    StampedEstimate,
    write_answers_bag,
)
from progeo_core.bags.reader import Bag
from progeo_core.errors import UsageError


def test_answers_are_read_back_from_the_topics_of_the_node(tmp_path):
    estimates = [
        StampedEstimate(
            10**18 + row * 10**9,
            np.array([row, 2.0, 3.0]),
            np.array([0.0, 0.0, np.sin(0.25), np.cos(0.25)]),
            np.eye(6),
            (48.0, 11.0 + row, 500.0),
        )
        for row in range(3)
    ]
    assert write_answers_bag(tmp_path / "answers", estimates) == 3
    with Bag(tmp_path / "answers") as bag:
        track = bag.pose_track(ANSWER_TOPIC)
        fixes = bag.pose_track(ANSWER_FIX_TOPIC)
    stamps = np.array([one.stamp_ns for one in estimates])
    found = track.at(stamps, 0.1)
    np.testing.assert_allclose(found.position, [[0, 2, 3], [1, 2, 3], [2, 2, 3]])
    np.testing.assert_allclose(found.yaw_rad, 0.5)
    np.testing.assert_allclose(fixes.at(stamps, 0.1).position[:, 1], [11.0, 12.0, 13.0])
    with pytest.raises(UsageError, match="a bag is never overwritten"):
        write_answers_bag(tmp_path / "answers", estimates)
