"""ROS 2 nodes at the edge of progeo_core: message in, one core call, message out."""

__all__: list[str] = []
