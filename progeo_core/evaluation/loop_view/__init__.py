"""Loop closures of a drive as one page."""

__all__: list[str] = []
