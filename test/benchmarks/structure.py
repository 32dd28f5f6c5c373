"""Measure the structure of the source against its limits: `python -m test.benchmarks.structure`.

Prints a table of figures over progeo_core and progeo_ros and what breaks a limit; exits 1 if
anything does. With --source the commits are left out, as no edit changes them.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PRODUCTS = ("progeo_core", "progeo_ros")

MAX_TOP_LEVEL_NAMES = 26
MAX_PACKAGE_SHARE = 0.12
# Packages that are large because their subjects are.
LARGE_PACKAGES = ("progeo_core/train", "progeo_core/map")
MAX_FUNCTION_LINES = 60
MAX_EQUAL_LINES = 8
MAX_SUBJECT_LENGTH = 72
COMMITS = 30


class Figure(NamedTuple):
    """Figure of the source with its limit, "" for none, and one line for each thing above it."""

    name: str
    value: str
    limit: str = ""
    broken: tuple[str, ...] = ()


class Function(NamedTuple):
    """Function or method, where it stands, and its length in lines with its docstring."""

    place: str
    lines: int


def figures(root: Path) -> list[Figure]:
    """Measure the source of a project."""
    sources = source_files(root)
    names = top_level_names(root)
    lengths = functions(root, sources)
    return [
        Figure("lines", f"{sum(map(count_lines, sources)):,}"),
        Figure("files", f"{len(sources)}"),
        Figure(
            "names at the top level of progeo_core",
            f"{len(names)}",
            f"{MAX_TOP_LEVEL_NAMES}",
            tuple(names) if len(names) > MAX_TOP_LEVEL_NAMES else (),
        ),
        _shares(root, sources),
        Figure("median function, lines", f"{statistics.median(f.lines for f in lengths):g}"),
        Figure(
            "longest function, lines",
            f"{max(f.lines for f in lengths)}",
            f"{MAX_FUNCTION_LINES}",
            tuple(f"{f.place}: {f.lines}" for f in lengths if f.lines > MAX_FUNCTION_LINES),
        ),
        _count("files without a mirrored test", unmirrored(root, sources)),
        _count(f"pieces over {MAX_EQUAL_LINES} lines that are equal", duplicates(root, sources)),
    ]


def source_files(root: Path) -> list[Path]:
    """Return the Python files of the products."""
    return sorted(path for product in PRODUCTS for path in (root / product).rglob("*.py"))


def count_lines(path: Path) -> int:
    """Return the number of lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def top_level_names(root: Path) -> list[str]:
    """Return the modules, packages and data folders that stand directly in progeo_core."""
    entries = (root / "progeo_core").iterdir()
    return sorted(
        entry.name
        for entry in entries
        if not entry.name.startswith(("_", ".")) and (entry.is_dir() or entry.suffix == ".py")
    )


def functions(root: Path, sources: list[Path]) -> list[Function]:
    """Return all functions and methods, also nested ones."""
    return [
        Function(
            f"{path.relative_to(root)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1
        )
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno
    ]


def unmirrored(root: Path, sources: list[Path]) -> list[str]:
    """Return the source files for which no test file stands at the same place below test/."""
    relative = (path.relative_to(root) for path in sources if path.name != "__init__.py")
    return [
        str(path)
        for path in relative
        if not (root / "test" / path.with_name(f"test_{path.name}")).is_file()
    ]


def duplicates(root: Path, sources: list[Path]) -> list[str]:
    """Return where more than `MAX_EQUAL_LINES` lines are equal to others, each piece once.

    Blank lines, comments and imports do not count.
    """
    first_seen: dict[tuple[str, ...], tuple[Path, int]] = {}
    found: list[str] = []
    for path in sources:
        lines = list(_lines_that_count(path))
        inside = False  # a piece whose start has been reported
        for start in range(len(lines) - MAX_EQUAL_LINES):
            window = tuple(text for _, text in lines[start : start + MAX_EQUAL_LINES + 1])
            there, row = first_seen.setdefault(window, (path, lines[start][0]))
            equal = (there, row) != (path, lines[start][0])
            if equal and not inside:
                here = f"{path.relative_to(root)}:{lines[start][0]}"
                found.append(f"{here} is equal to {there.relative_to(root)}:{row}")
            inside = equal
    return found


def long_subjects(root: Path) -> list[str]:
    """Return the subjects above the limit among the last commits; none outside a repository."""
    command = ["git", "-C", str(root), "log", "--no-merges", f"-{COMMITS}", "--format=%h %s"]
    log = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    lines = log.splitlines()
    return [line for line in lines if len(line.partition(" ")[2]) > MAX_SUBJECT_LENGTH]


def _shares(root: Path, sources: list[Path]) -> Figure:
    """Return the largest share of the lines that one package has."""
    lines: Counter[str] = Counter()
    for path in sources:
        lines[str(Path(*path.relative_to(root).parent.parts[:2]))] += count_lines(path)
    shares = {name: count / lines.total() for name, count in lines.most_common()}
    checked = {name: share for name, share in shares.items() if name not in LARGE_PACKAGES}
    name, largest = next(iter(checked.items()))
    return Figure(
        f"largest package but {' and '.join(Path(large).name for large in LARGE_PACKAGES)}",
        f"{name} {largest:.1%}",
        f"{MAX_PACKAGE_SHARE:.0%}",
        tuple(
            f"{name}: {share:.1%}" for name, share in checked.items() if share > MAX_PACKAGE_SHARE
        ),
    )


def _count(name: str, broken: list[str]) -> Figure:
    return Figure(name, f"{len(broken)}", "0", tuple(broken))


def _lines_that_count(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of the lines of a file that say something of its own."""
    text = path.read_text(encoding="utf-8")
    imports = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.strip().startswith("#") and number not in imports:
            yield number, line.rstrip()


def main(root: Path, source_only: bool = False) -> int:
    """Print the figures; return 1 if a limit is broken, else 0."""
    measured = figures(root)
    if not source_only:
        name = f"subjects over {MAX_SUBJECT_LENGTH} characters in {COMMITS} commits"
        measured.append(_count(name, long_subjects(root)))
    print("| figure | value | limit |\n|---|---|---|")
    for figure in measured:
        print(f"| {figure.name} | {figure.value} | {figure.limit or '-'} |")
    broken = [figure for figure in measured if figure.broken]
    for figure in broken:
        print(f"\n{figure.name}: above {figure.limit}", *figure.broken, sep="\n  ")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(ROOT, "--source" in sys.argv[1:]))
