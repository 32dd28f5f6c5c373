import io
import json
import logging
from pathlib import Path

import pytest
from rich.console import Console

from progeo_core.commands import console
from progeo_core.errors import DataError

DOCUMENT = {"image": f"[b]/{'long/' * 60}é.jpg", "score": 0.5}


def test_json_on_stdout_is_what_was_written(capsys, tmp_path):
    console.write_json(tmp_path / "out.json", DOCUMENT)
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == DOCUMENT
    console.write_json(Path("-"), DOCUMENT)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == DOCUMENT
    assert len(captured.out.splitlines()) == 4, "long lines are not wrapped"
    assert captured.err == ""


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    target = tmp_path / "none" / "out.json"
    with pytest.raises(DataError, match=r"out\.json: cannot be written"):
        console.write_json(target, DOCUMENT)


def test_a_problem_is_one_line_on_stderr(capsys):
    console.say_problem("error", f"[x]\n  {'long ' * 60}")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"progeo: error: [x] {('long ' * 60).strip()}\n"


@pytest.mark.parametrize(("count", "last"), [(10, "image 9"), (12, "and 2 more")])
def test_the_first_skipped_are_named_and_the_rest_counted(count, last, capsys):
    console.say_skipped([f"image {row}" for row in range(count)])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "progeo: skipped: image 0"
    assert lines[-1] == f"progeo: skipped: {last}"
    assert len(lines) == min(count, 11)


def test_warnings_of_the_core_are_lines_too(capsys):
    log = logging.getLogger("progeo_core.test_console")
    handler = console.MessageHandler(logging.WARNING)
    log.addHandler(handler)
    try:
        log.warning("3 of %d images have no position", 9)
    finally:
        log.removeHandler(handler)
    assert capsys.readouterr().err == "progeo: warning: 3 of 9 images have no position\n"


def test_fields_are_aligned(capsys):
    console.print_fields("Map", {"places": 36, "datum [°]": "none"})
    title, places, datum = capsys.readouterr().out.splitlines()
    assert title.strip() == "Map"
    assert places.index("36") == datum.index("none")
    assert datum.startswith("datum [°]")


def test_nothing_moves_off_a_terminal(capsys):
    with console.progress("mapping", 3) as advance, console.waiting("loading"):
        advance(3)
    captured = capsys.readouterr()
    assert (captured.out + captured.err).strip() == ""


def test_a_terminal_sees_the_count(monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(console, "messages", terminal)
    with console.progress("mapping", 3) as advance:
        advance(2)
        advance(1)
    assert "mapping" in screen.getvalue()
    assert "3/3" in screen.getvalue()
