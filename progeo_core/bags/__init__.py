"""Reading and writing rosbag2 recordings, without ROS."""

__all__: list[str] = []
