"""A map to look at: one page with its places, look-alikes and gaps."""

__all__: list[str] = []
