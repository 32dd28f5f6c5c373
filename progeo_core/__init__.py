"""Visual place recognition and localization with ProGEO descriptors, free of ROS."""

__all__: list[str] = []
