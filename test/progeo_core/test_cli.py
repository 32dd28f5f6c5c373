import logging
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from typing import Any

import pytest
import typer

from progeo_core import cli
from progeo_core.errors import DataError, ImageError, UsageError
from progeo_core.map.place_map import PlaceMap
from test.command_tree import command_tree, named_commands

ALL_COMMANDS = dict(named_commands(command_tree()))


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_every_help_teaches(name, capfd):
    command: Any = ALL_COMMANDS[name]
    purpose, _, rest = command.help.partition("\n\n")
    assert purpose.endswith(".")
    assert f"    {name} " in rest or rest.rstrip().endswith(name) or f"    {name}\n" in rest
    for parameter in command.params:
        if parameter.name != "help":
            assert parameter.help.strip().endswith("."), parameter.name
    assert cli.main([*name.split()[1:], "--help"]) == 0
    assert "Usage:" in capfd.readouterr().out


def test_a_warning_is_printed_once_though_a_library_logs_to_the_root(monkeypatch, capfd):
    """open_clip calls `logging.warning`, which gives the root logger a handler of its own."""
    warning = typer.Typer()

    @warning.command()
    def warn() -> None:
        logging.getLogger("progeo_core.somewhere").warning("take care")

    root = logging.StreamHandler(sys.stderr)
    logging.root.addHandler(root)
    monkeypatch.setattr(cli, "app", warning)
    try:
        assert cli.main([]) == 0
    finally:
        logging.root.removeHandler(root)
    assert capfd.readouterr().err == "progeo: warning: take care\n"
    assert logging.getLogger("progeo_core").propagate


def test_version_is_that_of_the_package(capfd):
    assert cli.main(["--version"]) == 0
    assert re.fullmatch(r"progeo \d+\.\d+\.\d+\n", capfd.readouterr().out)


@pytest.mark.parametrize("arguments", [[], ["map"], ["bag"], ["model"]])
def test_without_a_command_the_help_is_shown(arguments, capfd):
    assert cli.main(arguments) == 2
    captured = capfd.readouterr()
    assert "Usage:" in captured.out + captured.err
    assert "error" not in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "No such command 'fly'"),
        (["map", "bild", "a.progeo"], "No such command 'bild'"),
        (["localize"], "Missing argument 'MAP'; see `progeo localize --help`"),
        (["localize", "a.progeo", "b.jpg", "--fast"], "No such option: --fast"),
        (["evaluate", "--map", "a.progeo"], "Missing option '--queries'"),
    ],
)
def test_bad_use_is_one_line_on_stderr(arguments, message, capfd):
    assert cli.main(arguments) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("progeo: error: ")
    assert message in line
    assert "--help`" in line


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("a: b; c"), 2, "progeo: error: a: b; c"),
        (DataError("file [x]\n  is\tbad"), 1, "progeo: error: file [x] is bad"),
        (ImageError(f"{'long/' * 60}: bad"), 1, f"progeo: error: {'long/' * 60}: bad"),
        (KeyboardInterrupt(), 130, "progeo: error: interrupted"),
    ],
)
def test_known_errors_end_in_one_line_and_their_exit_code(error, code, line, monkeypatch, capfd):
    failing = typer.Typer()

    @failing.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", failing)
    assert cli.main([]) == code
    # Some releases of typer begin a new line after ^C.
    assert capfd.readouterr().err.strip("\n") == line


def test_an_unknown_error_is_not_hidden(monkeypatch):
    failing = typer.Typer(pretty_exceptions_enable=False)

    @failing.command()
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", failing)
    with pytest.raises(ZeroDivisionError):
        cli.main([])


@pytest.mark.slow
def test_interrupting_a_build_is_clean_and_loses_nothing_committed(corridor, small_model, tmp_path):
    path = tmp_path / "corridor.progeo"
    # Enough images for many transactions: the build goes on long after the first is committed.
    lines = (corridor / "ref.csv").read_text().splitlines()
    # Drives of other names, as a row that names an image again counts once.
    rows = [f"{corridor}/{line}{drive}" for drive in range(300) for line in lines[1:]]
    records = tmp_path / "many.csv"
    records.write_text("\n".join([lines[0], *rows]) + "\n")
    command = ["map", "build", path, "--records", records, "--model", small_model]
    build = subprocess.Popen(
        [sys.executable, "-m", "progeo_core.cli", *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores the signal, and so would what it starts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        while build.poll() is None and not _places(path):
            time.sleep(0.05)
        build.send_signal(signal.SIGINT)
        _, messages = build.communicate(timeout=60)
    finally:
        build.kill()
    assert build.returncode == 130
    assert "Traceback" not in messages
    kept = _places(path)
    assert 0 < kept < len(rows)
    assert f"{kept} places are safe; give the same command with --append for the rest" in messages
    assert list(tmp_path.glob("corridor.progeo-*")) == []


def test_a_reader_that_stops_early_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "progeo_core.cli", "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


def _places(path):
    """Return how many places are committed so far."""
    if not path.exists():
        return 0
    with PlaceMap.open(path) as place_map:
        return len(place_map)
