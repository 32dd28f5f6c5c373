"""The state of an installation: what works on this machine, how fast, and what to do."""

__all__: list[str] = []
