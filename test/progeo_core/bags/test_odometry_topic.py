"""Odometry at the stamps of images: real messages, silence, and topics that are none."""

import math

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from sensor_msgs.msg import NavSatFix

from progeo_core.bags.odometry_topic import odometry_at
from progeo_core.bags.reader import Bag
from progeo_core.errors import DataError
from test.progeo_core.bags.test_reader import SECOND, START, at, make_bag


def odometry(seconds, x, yaw):
    message = at(Odometry(), seconds, frame_id="odom")
    message.pose.pose.position.x = x
    message.pose.pose.orientation.z = math.sin(yaw / 2)
    message.pose.pose.orientation.w = math.cos(yaw / 2)
    return message


@pytest.fixture
def bag(tmp_path):
    fix = at(NavSatFix(latitude=48.1, longitude=11.0), 0)
    fix.status.status = fix.status.STATUS_FIX
    messages = [("/odom", s, odometry(s, 2.0 * s, 0.1 * s)) for s in (0, 1)]
    with Bag(make_bag(tmp_path / "drive", [*messages, ("/fix", 0, fix)])) as opened:
        yield opened


def stamps(*seconds):
    return np.array([START + round(one * SECOND) for one in seconds], np.int64)


def test_it_is_interpolated_and_silence_is_counted(bag, caplog):
    found = odometry_at(bag, "/odom", stamps(0.25, 1.0))
    np.testing.assert_allclose(found, [[0.5, 0.0, 0.025], [2.0, 0.0, 0.1]])
    assert not caplog.records
    found = odometry_at(bag, "/odom", stamps(0.5, 1.5))
    assert np.isnan(found).all(axis=1).tolist() == [False, True]
    assert caplog.messages == [
        f"{bag.path}: 1 of 2 images have no odometry of '/odom' within 1 s on either side"
    ]


def test_what_is_none_is_said(bag):
    with pytest.raises(DataError, match=r"'/fix' \(sensor_msgs/msg/NavSatFix\) have no direction"):
        odometry_at(bag, "/fix", stamps(0.0))
    with pytest.raises(DataError, match=r"all 2 images have no odometry.*odometry from 17000000"):
        odometry_at(bag, "/odom", stamps(8.0, 9.0))
