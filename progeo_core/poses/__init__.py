"""Planar poses, pose tracks and buffers, odometry, and pose estimates."""

__all__: list[str] = []
