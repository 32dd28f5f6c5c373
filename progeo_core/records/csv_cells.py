"""Text in the cells of a CSV that a spreadsheet shows, and does not run."""

from __future__ import annotations

# Spreadsheets run a cell that starts with one of these as a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def no_formula(text: str, prefix: str = "'") -> str:
    """Return a text, behind a prefix where a spreadsheet would run it as a formula."""
    return prefix + text if text.startswith(_FORMULA_STARTS) else text
