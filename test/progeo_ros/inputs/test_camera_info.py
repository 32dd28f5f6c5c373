from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from progeo_ros.inputs.camera_info import CameraInfoInput


def test_calibration_arrives_over_dds(peer) -> None:
    source = CameraInfoInput(peer.node, "/left/image_rect")
    publisher = peer.node.create_publisher(CameraInfo, "/left/camera_info", qos_profile_sensor_data)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    message = CameraInfo(width=640, height=480)
    message.p = [480.0, 0.0, 310.0, 0.0, 0.0, 490.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    publisher.publish(message)
    peer.wait_for(lambda: source.intrinsics is not None, "the calibration")
    assert source.intrinsics.focal_x == 480.0
    source.destroy()
    peer.wait_for(lambda: not publisher.get_subscription_count(), "the end of the subscription")
