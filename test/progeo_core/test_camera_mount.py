import math

import numpy as np
import pytest

from progeo_core.camera_mount import CameraMount


def test_nothing_is_known_before_a_few_pairs() -> None:
    mount = CameraMount()
    for _ in range(4):
        mount.add(0.5, 0.0)
        assert math.isnan(mount.yaw_rad)
    mount.add(0.5, 0.0)
    assert mount.yaw_rad == pytest.approx(-0.5)


def test_a_camera_that_looks_backward_and_a_pair_that_is_wrong() -> None:
    mount = CameraMount()
    for noise in np.random.default_rng(0).normal(0.0, 0.1, 12):
        mount.add(math.pi + float(noise), 0.0)
    mount.add(0.0, 0.0)
    assert abs(mount.yaw_rad) == pytest.approx(math.pi, abs=0.15)


def test_pairs_that_contradict_each_other_or_are_no_numbers_say_nothing() -> None:
    mount = CameraMount()
    for bearing in np.linspace(-math.pi, math.pi, 12):
        mount.add(float(bearing), 0.0)
    assert math.isnan(mount.yaw_rad)
    only_nan = CameraMount()
    for _ in range(12):
        only_nan.add(math.nan, 0.0)
    assert math.isnan(only_nan.yaw_rad)


def test_the_newest_pairs_count() -> None:
    mount = CameraMount()
    for turned in (0.0, 1.0):
        for _ in range(20):
            mount.add(0.0, turned)
    assert mount.yaw_rad == pytest.approx(1.0)
