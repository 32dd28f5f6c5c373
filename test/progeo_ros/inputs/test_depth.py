from pathlib import Path

import numpy as np
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from progeo_core.images.depth import read_depth
from progeo_ros.inputs.depth import DepthInput
from test.office_robot import depth_message

S = 1_000_000_000


def test_depth_comes_while_the_input_listens(peer, office: Path) -> None:
    source = DepthInput(peer.node, "depth/image_raw")
    assert source.topic == "/depth/image_raw"
    file = sorted((office / "depth").iterdir())[0]
    publisher = peer.node.create_publisher(Image, source.topic, qos_profile_sensor_data)
    for stamp_ns in (S, 2 * S):
        source.start()
        peer.wait_for(publisher.get_subscription_count, "the subscription")
        publisher.publish(depth_message(file, stamp_ns))
        peer.wait_for(lambda stamp_ns=stamp_ns: source.buffer.at(stamp_ns), "the depth")
        source.stop()
        peer.wait_for(lambda: not publisher.get_subscription_count(), "its end")
    found = source.buffer.at(2 * S)
    assert found is not None
    np.testing.assert_array_equal(found.metres(), read_depth(file))
    peer.node.destroy_publisher(publisher)
