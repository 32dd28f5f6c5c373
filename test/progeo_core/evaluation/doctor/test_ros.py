import sys

import pytest

from progeo_core.evaluation.doctor import ros
from progeo_core.evaluation.doctor.finding import State
from progeo_core.evaluation.doctor.ros import check_ros, settings_of, topic_of

SETTINGS = {
    "middleware": "rmw_fastrtps_cpp",
    "profile_variable": "FASTDDS_DEFAULT_PROFILES_FILE",
    "shipped_profile": "/share/fastdds.xml",
    "profile": "",
}


def test_without_rclpy_there_is_one_note(monkeypatch):
    monkeypatch.setattr(ros, "has_ros", lambda: False)
    (found,) = check_ros()
    assert found.state is State.NOTE
    assert "source /opt/ros" in found.fix


def test_rclpy_that_does_not_start_is_one_problem(monkeypatch):
    pytest.importorskip("rclpy", reason="needs rclpy")
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_of_nobody")
    found = list(check_ros())[-1]
    assert found.state is State.PROBLEM
    assert "rclpy does not start" in found.text


def test_a_profile_that_does_not_exist_is_a_problem(tmp_path):
    found = {one.subject: one for one in settings_of(SETTINGS)}
    assert found["profile"].fix == "export FASTDDS_DEFAULT_PROFILES_FILE=/share/fastdds.xml"
    missing = SETTINGS | {"profile": str(tmp_path / "none.xml")}
    found = {one.subject: one for one in settings_of(missing)}
    assert found["profile"].state is State.PROBLEM
    there = SETTINGS | {"profile": sys.executable}
    found = {one.subject: one for one in settings_of(there)}
    assert found["profile"].state is State.GOOD


def test_publishers_of_two_reliabilities_are_named():
    topic = {"name": "/camera", "type": "sensor_msgs/msg/Image", "publishers": 1}
    one = topic_of(topic | {"reliability": ["best_effort"], "durability": ["volatile"]})
    assert (one.state, one.text) == (State.GOOD, "Image, 1 publisher, best_effort")
    both = topic_of(topic | {"publishers": 2, "reliability": ["best_effort", "reliable"]})
    assert both.state is State.NOTE
    assert "image_reliability" in both.fix
