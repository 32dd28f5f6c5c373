"""Benchmark figures as JSON and as a Markdown table, with the machine that they are of."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from progeo_core.atomic_file import replaced_file
from progeo_core.versions import versions
from test.benchmarks.row import Row

SCHEMA = 1


class Section(NamedTuple):
    """Hold the rows of one benchmark, what it measures, and what the plain alternative is."""

    name: str
    measures: str
    rows: Sequence[Row]


def machine() -> dict[str, Any]:
    """Return what the figures depend on, as far as Linux tells it."""
    load = os.getloadavg()[0]
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load": round(load, 1),
    }


def processor_name() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def write_report(json_path: Path, sections: Sequence[Section]) -> Path:
    """Write benchmarks.json and benchmarks.md beside it; return the latter."""
    where, used = machine(), versions()
    document = {
        "schema": SCHEMA,
        "machine": where,
        "versions": used,
        "benchmarks": {
            section.name: {
                "measures": section.measures,
                "rows": [row.to_json() for row in section.rows],
            }
            for section in sections
        },
    }
    markdown = json_path.with_suffix(".md")
    for path, text in (
        (json_path, json.dumps(document, indent=2)),
        (markdown, to_markdown(where, used, sections)),
    ):
        with replaced_file(path) as unfinished:
            unfinished.write_text(text + "\n", encoding="utf-8")
    return markdown


def to_markdown(
    where: Mapping[str, Any], used: Mapping[str, str], sections: Sequence[Section]
) -> str:
    """Return one table per benchmark under a line about machine and versions."""
    lines = [
        f"{where['processor']}, {where['cores']} cores, load {where['load']};"
        f" {where['system']}; {', '.join(f'{name} {version}' for name, version in used.items())}"
    ]
    for section in sections:
        lines += ["", f"## {section.name}", "", section.measures]
        if not section.rows:
            continue
        lines += ["", "| case | ours | plain | times better | also |", "|---|---|---|---|---|"]
        lines += [_table_row(row) for row in section.rows]
    return "\n".join(lines)


def _table_row(row: Row) -> str:
    also = ", ".join(f"{name} {value:.4g}" for name, value in row.also.items())
    ours, plain = (f"{value:.4g} {row.unit}".rstrip() for value in (row.ours, row.plain))
    return f"| {row.case} | {ours} | {plain} | {row.ratio:.2f} | {also} |"
