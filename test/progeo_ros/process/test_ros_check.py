import json
import subprocess
import sys

import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from progeo_ros.process.dds_environment import dds_environment


@pytest.mark.slow
def test_a_camera_of_another_process_is_seen_with_its_qos(monkeypatch):
    for name, value in dds_environment().items():
        monkeypatch.setenv(name, value)
    context = rclpy.Context()
    context.init()
    camera = Node("camera", context=context)
    try:
        quality = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        camera.create_publisher(Image, "/camera/image_raw", quality)
        command = [sys.executable, "-m", "progeo_ros.process.ros_check"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    finally:
        camera.destroy_node()
        context.try_shutdown()
    document = json.loads(done.stdout)
    assert document["middleware"].startswith("rmw_")
    assert document["profile"] == document["shipped_profile"]
    (topic,) = document["topics"]
    assert topic == {
        "name": "/camera/image_raw",
        "type": "sensor_msgs/msg/Image",
        "publishers": 1,
        "reliability": ["best_effort"],
        "durability": ["volatile"],
    }
