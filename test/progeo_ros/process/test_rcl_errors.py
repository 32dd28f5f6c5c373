import pytest
import rclpy
from rclpy.context import Context
from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_topic_name import validate_topic_name

from progeo_ros.process.rcl_errors import reason_of


def test_a_wrong_name_is_one_line_without_the_pointer() -> None:
    with pytest.raises(InvalidTopicNameException) as raised:
        validate_topic_name("/front cam")
    assert reason_of(raised.value).startswith("Invalid topic name: topic name must not contain")
    assert "^" not in reason_of(raised.value)


def test_a_wrong_argument_is_named_without_rcls_own_source() -> None:
    with pytest.raises(RuntimeError) as raised:
        rclpy.init(args=["--ros-args", "-p", "a:=[1"], context=Context())
    reason = reason_of(raised.value)
    assert reason.startswith("Couldn't parse parameter override rule: '-p a:=[1'")
    assert "/src/" not in reason
    assert "\n" not in reason
