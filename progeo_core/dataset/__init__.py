"""Data sets for training: place classes, areas, passes, and the writer."""

__all__: list[str] = []
