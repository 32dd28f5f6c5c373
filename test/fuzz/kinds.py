"""Every kind of untrusted input, by its name in the table of docs/security.md."""

from __future__ import annotations

from test.fuzz import (
    bag_kinds,
    image_kinds,
    map_kinds,
    message_kinds,
    model_kinds,
    record_kinds,
    ros_kinds,
)
from test.fuzz.kind import Kind

_MODULES = image_kinds, message_kinds, record_kinds, bag_kinds, map_kinds, model_kinds, ros_kinds
KINDS: dict[str, Kind] = {name: kind for one in _MODULES for name, kind in one.KINDS.items()}
