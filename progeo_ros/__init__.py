"""ROS 2 nodes at the edge of progeo_core: message in, one core call, message out."""

import progeo_core  # noqa: F401  before NumPy, as it settles how the threads of others wait

__all__: list[str] = []
