import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.poses.tum_file import StampedPose, write_trajectory


def test_poses_are_sorted_and_stamps_keep_every_nanosecond(tmp_path):
    path = tmp_path / "a.tum"
    poses = [
        StampedPose(1_700_000_000_123_456_789, np.array([1.0, 2.0, 3.0]), math.pi / 2),
        StampedPose(5, np.array([0.0, -1.5, 0.0]), math.nan),
    ]
    write_trajectory(path, poses)
    assert path.read_text().splitlines() == [
        "0.000000005 0.000000 -1.500000 0.000000 0 0 0.000000000 1.000000000",
        "1700000000.123456789 1.000000 2.000000 3.000000 0 0 0.707106781 0.707106781",
    ]


@given(st.integers(1, 2**62), st.floats(-math.pi, math.pi))
def test_stamp_and_yaw_come_back(tmp_path_factory, stamp_ns, yaw_rad):
    path = tmp_path_factory.mktemp("tum") / "a.tum"
    write_trajectory(path, [StampedPose(stamp_ns, np.zeros(3), yaw_rad)])
    stamp, *_, qz, qw = path.read_text().split()
    assert int(stamp.replace(".", "")) == stamp_ns
    # atan2 of a half turn may give either sign.
    assert math.isclose(math.cos(2 * math.atan2(float(qz), float(qw)) - yaw_rad), 1.0, abs_tol=1e-6)
