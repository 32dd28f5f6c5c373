"""The commands of `progeo`: each parses its options, calls the core once, and prints."""

__all__: list[str] = []
