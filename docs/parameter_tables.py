"""Write the parameter tables of ros_interface.md: `python docs/parameter_tables.py`.

They come from the settings in the code, through rclpy, with which the nodes declare them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from progeo_ros.parameter_file import FILES
from progeo_ros.parameters import ParameterField, parameter_fields

PAGE = Path(__file__).resolve().parent / "ros_interface.md"
_TABLE = re.compile(r"(<!-- parameters of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str) -> str:
    """Return the page with a table of today's parameters between each pair of its markers."""
    return _TABLE.sub(lambda found: found[1] + table(found[2]) + found[3], page)


def table(file: str) -> str:
    """Return the parameters of one of `FILES` as a Markdown table, a row each."""
    fields = list(parameter_fields(FILES[file][1]))
    rows = ["| parameter | default | changes | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{item.name}` | `{_default(item)}` | {item.change} | {_meaning(item)} |"
        for item in fields
    ]
    return "".join(f"{row}\n" for row in rows)


def _default(item: ParameterField) -> str:
    value = item.field.default
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _meaning(item: ParameterField) -> str:
    """Return the description with the allowed words, safe inside a table."""
    words = f" ({', '.join(item.choices)})" if item.choices else ""
    return f"{item.description}{words}".replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
