"""The map of a fleet: places of many robots in one store, and maps of regions of it."""

__all__: list[str] = []
