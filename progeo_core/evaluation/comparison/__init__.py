"""Several models side by side on one set of images: recall, length, speed, size."""

__all__: list[str] = []
