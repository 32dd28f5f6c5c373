"""Playing a bag through the live node over DDS."""

__all__: list[str] = []
