"""Numbers as programs write them."""

from __future__ import annotations


def plain_number(text: str) -> float:
    """Return the number that a text is; `ValueError` for any other text.

    Python alone also takes `1_000` and the digits of other scripts.
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"'{text}' is not a number")
    return float(text)
