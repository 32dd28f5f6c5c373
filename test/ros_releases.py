"""What the ROS releases that PyPI has cannot do, for tests that run on each."""

import importlib.util

# Kilted brings content filters. Fast DDS of Jazzy does not tell which messages newer ones pushed
# out of a queue, and wants type support of tf2_msgs that `tf2_messages` does not make.
BEFORE_KILTED = importlib.util.find_spec("rclpy.subscription_content_filter_options") is None
