"""The map: place map file, search index, and what builds and maintains them."""

__all__: list[str] = []
