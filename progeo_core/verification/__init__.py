"""Verification of matches: local features, two-view geometry, dense similarity."""

__all__: list[str] = []
