"""Descriptors: the Encoder protocol, model fingerprints, and standardization."""

__all__: list[str] = []
