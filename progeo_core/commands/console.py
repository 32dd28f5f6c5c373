"""Output of the commands: results on stdout; progress, warnings and errors on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError
from progeo_core.progress import Advance

if TYPE_CHECKING:
    from rich.console import Console

# Off a terminal, progress is a line so often (s).
_LINE_S = 10.0
# Values of a table are not folded more narrowly.
_MIN_COLUMNS = 20


def tables() -> Console:
    """Return what prints tables on stdout; rich takes time to import, and only they need it."""
    from rich.console import Console

    return Console()


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """Show a bar with counts and the time left while the block runs, off a terminal some lines."""
    if not sys.stderr.isatty():
        yield _ProgressLines(what, total).advance
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


class _ProgressLines:
    """Progress for a log: a line every ten seconds, none where the work takes less."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._started = self._said = time.monotonic()

    def advance(self, count: int) -> None:
        """Count what was done, and say it where the last line is ten seconds old."""
        self._done += count
        now = time.monotonic()
        if now < self._said + _LINE_S:
            return
        self._said = now
        line = f"{self._what}: {self._done} of {self._total}"
        if 0 < self._done <= self._total:
            left_s = (now - self._started) * (self._total - self._done) / self._done
            line = f"{line} ({self._done / self._total:.0%}), {_readable_time(left_s)} left"
        say_problem("progress", line)


def _readable_time(seconds: float) -> str:
    minutes = seconds / 60.0
    if minutes < 1.5:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90.0 else f"{minutes / 60.0:.1f} h"


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show a spinner while the block runs, for work of unknown length."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def say_problem(kind: str, message: str) -> None:
    """Write one line "progeo: KIND: MESSAGE" to stderr."""
    print(f"progeo: {kind}: {' '.join(message.split())}", file=sys.stderr)


def say_skipped(skipped: Sequence[str]) -> None:
    """Warn about the first few things that were skipped, and count the rest."""
    shown = 10
    for message in skipped[:shown]:
        say_problem("skipped", message)
    if len(skipped) > shown:
        say_problem("skipped", f"and {len(skipped) - shown} more")


def print_json(document: Mapping[str, Any]) -> None:
    """Write a document to stdout, without wrapping its lines."""
    print(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False))


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document to a file that appears whole or not at all; "-" means stdout."""
    if str(path) == "-":
        print_json(document)
        return
    try:
        with replaced_file(path) as unfinished:
            text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
            # A byte of a file's name that is no UTF-8 becomes an escape of JSON this way.
            unfinished.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error


def print_fields(title: str, fields: Mapping[str, object]) -> None:
    """Write names and values as two aligned columns, folded to the width of a terminal."""
    wide = max(map(len, fields), default=0)
    room = sys.maxsize
    bold, plain = "", ""
    if sys.stdout.isatty():
        room = max(shutil.get_terminal_size().columns - wide - 2, _MIN_COLUMNS)
        bold, plain = "\x1b[1m", "\x1b[0m"
    if title:
        print(title)
    for name, value in fields.items():
        folded = [one for line in str(value).splitlines() for one in textwrap.wrap(line, room)]
        first, *others = folded or [""]
        print(f"{bold}{name.ljust(wide)}{plain}  {first}".rstrip())
        for line in others:
            print(f"{'':{wide}}  {line}")


class MessageHandler(logging.Handler):
    """Log handler that writes warnings as lines of their own, above a running progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        say_problem(record.levelname.lower(), record.getMessage())
