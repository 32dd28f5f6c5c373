"""The `progeo` command; what a command needs is imported when it runs.

Exit codes: 0 done, 1 a failed run, 2 bad use, 130 interrupted, 143 terminated. Errors are one line
on stderr.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated, ClassVar

import typer

from progeo_core.commands.console import MessageHandler, say_problem
from progeo_core.commands.lazy_group import Awaited, LazyGroup
from progeo_core.commands.signals import interrupted_by_signals
from progeo_core.commands.typer_versions import CommandGroup
from progeo_core.errors import ProgeoError
from progeo_core.versions import package_version

INTERRUPTED = 130
FAILED = 1
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO}

# Newer releases of typer carry their own copy of click, so its errors are found through typer.
_BadUse: type[Exception] = typer.BadParameter.__bases__[0]


class Commands(LazyGroup):
    """All commands."""

    awaited: ClassVar[dict[str, Awaited]] = {
        "map": Awaited("map", "Build a map, look at it, look after it."),
        "fleet": Awaited("fleet", "Share one map among many robots."),
        "localize": Awaited("localize", "Find where images were taken, and how sure that is."),
        "evaluate": Awaited(
            "evaluate", "Measure how well a map answers images with known positions."
        ),
        "replay": Awaited("replay", "Evaluate a map on a bag, and write a report."),
        "compare": Awaited("compare", "Compare models on one set of images."),
        "find": Awaited("find", "Find places of a map that look like words."),
        "loops": Awaited("loops", "Close the loops of a recorded drive, and show them on a page."),
        "bag": Awaited("bag", "Make bags."),
        "dataset": Awaited("dataset", "Make a folder to train and evaluate on."),
        "describe": Awaited("describe", "Write the descriptors of images as a NumPy array."),
        "model": Awaited("model", "Look at a model, import one, export one."),
        "doctor": Awaited(
            "doctor", "Show what works on this machine, and what to do about the rest."
        ),
        "demo": Awaited("demo", "Run everything on images that come with the package."),
    }


app = CommandGroup(
    name="progeo",
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"progeo {package_version()}")
        raise typer.Exit


@app.callback()
def progeo(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Localize a robot from one camera image.

    Build a map from images with known positions, then find where a new image was taken; replay a
    bag through the same code, or through the ROS 2 node, and get a report of its accuracy.

        progeo demo
        progeo map build office.progeo --records office.csv
        progeo localize office.progeo photo.jpg
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; known errors end in one line."""
    log, warnings = logging.getLogger("progeo_core"), MessageHandler(logging.WARNING)
    log.addHandler(warnings)
    # Libraries that log through the root logger give it a handler, which would print them again.
    log.propagate = False
    # Names of files may hold bytes that are no UTF-8; stderr writes them by number already.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with interrupted_by_signals() as signals:
            code = _run(arguments, signals)
    except KeyboardInterrupt:  # as late as the block's end
        code = INTERRUPTED
    finally:
        log.propagate = True
        log.removeHandler(warnings)
    return 128 + signals[0] if signals and code == INTERRUPTED else code


def _run(arguments: Sequence[str] | None, signals: Sequence[int]) -> int:
    try:
        code = int(app(arguments, prog_name="progeo", standalone_mode=False) or 0)
        if code == INTERRUPTED:  # as some releases of typer tell, without a word
            raise KeyboardInterrupt
        sys.stdout.flush()
        return code
    except ProgeoError as error:
        say_problem("error", str(error))
        return error.exit_code
    except _BadUse as error:
        return _explain_bad_use(error)
    except (KeyboardInterrupt, typer.Abort):
        say_problem("error", "interrupted")
        return INTERRUPTED
    except Exception as error:
        return _explain_failure(error, signals)


def _explain_failure(error: Exception, signals: Sequence[int]) -> int:
    """Say why a command failed; raise what is a fault of the program."""
    # A library that was interrupted may raise anything, most of all while it is imported.
    if signals:
        say_problem("error", "interrupted")
        return INTERRUPTED
    if isinstance(error, OSError) and error.errno in _FULL:
        say_problem("error", f"the output cannot be written ({error.strerror})")
    elif not isinstance(error, BrokenPipeError):  # of a reader that has read enough
        raise error
    # Python would write, and fail, again at its own exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _explain_bad_use(error: Exception) -> int:
    message: str = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", "progeo")
    # Without any argument the help is the explanation; some releases of typer print it themselves.
    if message.startswith("Usage:"):
        print(message, file=sys.stderr)
    elif message:
        say_problem("error", f"{message.rstrip('.')}; see `{command} --help`")
    return 2


if __name__ == "__main__":
    sys.exit(main())
