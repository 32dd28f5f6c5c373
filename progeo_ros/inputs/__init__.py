"""Subscriptions of the localizer: images, calibrations, odometry, references."""

__all__: list[str] = []
