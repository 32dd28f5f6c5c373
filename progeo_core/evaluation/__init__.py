"""Evaluation: metrics, queries with known positions, bag replay, and reports."""

__all__: list[str] = []
