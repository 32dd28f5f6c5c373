"""Settings: frozen dataclasses that state default, meaning and range of every value once.

Command-line options, ROS parameters and YAML files are generated from these fields and
checked against them.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

from progeo_core.errors import UsageError


class Range(NamedTuple):
    """Inclusive bounds of a numeric setting."""

    low: float
    high: float


def setting(
    default: Any,
    description: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare one setting: its default, meaning, and inclusive range or allowed words."""
    metadata = {"description": description, "range": Range(low, high), "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of settings that check every field's type, range and choices on construction."""

    def __post_init__(self) -> None:
        """Raise `UsageError` naming the first field whose value is not allowed."""
        for field in dataclasses.fields(self):
            value = _checked(
                f"{type(self).__name__}.{field.name}", getattr(self, field.name), field
            )
            object.__setattr__(self, field.name, value)


def _checked(name: str, value: Any, field: dataclasses.Field[Any]) -> Any:
    """Return `value`, an int widened where a float is declared, or raise `UsageError`."""
    if isinstance(field.default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    kind: type[Any] = type(field.default)
    if type(value) is not kind:
        raise UsageError(f"{name} = {value!r}: must be of type {kind.__name__}")
    choices = field.metadata["choices"]
    if choices and value not in choices:
        raise UsageError(f"{name} = {value!r}: must be one of {', '.join(choices)}")
    bounds: Range = field.metadata["range"]
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    if numeric and not bounds.low <= value <= bounds.high:
        raise UsageError(f"{name} = {value!r}: must be between {bounds.low:g} and {bounds.high:g}")
    return value
