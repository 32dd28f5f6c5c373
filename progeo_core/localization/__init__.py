"""Localization: from a descriptor to a pose, single images and sequences."""

__all__: list[str] = []
