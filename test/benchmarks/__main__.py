"""Run the benchmarks: `python -m test.benchmarks [--only NAME]`.

Writes benchmarks.json and benchmarks.md into the working directory. Every figure stands beside that
of a plain alternative, taken in turns with it in the same run.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import tempfile
from pathlib import Path
from types import ModuleType

import progeo_core  # noqa: F401  first, as it settles how the threads of others wait
from test.benchmarks.report import Section, write_report

# Each module has `rows(folder)`, which yields its figures and may leave files in the folder for
# those after it; the docstring says what is compared with what. One that cannot run everywhere has
# `why_skipped()`, "" where it can.
NAMES = (
    "image_path",
    "encoder",
    "folder",
    "search",
    "map_opening",
    "mapping",
    "mapping_kills",
    "stop_signals",
    "node",
    "cuda",
    "place_filter",
    "place_filter_cost",
    "pose_graph",
    "loop_views",
    "metric_pose",
    "prune",
    "fleet",
    "dataset_kills",
    "training",
    "fleet_build",
)


def main() -> None:
    """Run all benchmarks, or one."""
    parser = argparse.ArgumentParser(prog="python -m test.benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAME", choices=NAMES, help=", ".join(NAMES))
    parser.add_argument("--out", metavar="FILE.json", type=Path, default=Path("benchmarks.json"))
    arguments = parser.parse_args()
    chosen = [arguments.only] if arguments.only else NAMES
    if arguments.only and (reason := why_skipped(arguments.only)):
        parser.exit(1, f"{arguments.only}: nothing is measured: {reason}\n")
    with tempfile.TemporaryDirectory() as folder:
        sections = [run(name, Path(folder)) for name in chosen]
    print(write_report(arguments.out, sections).read_text(encoding="utf-8"))


def module_of(name: str) -> ModuleType:
    """Import the module of one benchmark."""
    return importlib.import_module(f"test.benchmarks.{name}_benchmark")


def why_skipped(name: str) -> str:
    """Return why a benchmark cannot run here, "" where it can."""
    module = module_of(name)
    return str(module.why_skipped()) if hasattr(module, "why_skipped") else ""


def run(name: str, folder: Path) -> Section:
    """Run one benchmark."""
    module = module_of(name)
    measures = " ".join(inspect.cleandoc(module.__doc__ or "").split())
    if reason := why_skipped(name):
        return Section(name, f"{measures} Skipped: {reason}.", [])
    rows = []
    for row in module.rows(folder):
        print(f"{name}: {row.case}: {row.ours:.4g} {row.unit}, plain {row.plain:.4g}", flush=True)
        rows.append(row)
    return Section(name, measures, rows)


if __name__ == "__main__":
    main()
