import json
import logging
import types
from pathlib import Path

import pytest

from progeo_core.commands import console
from progeo_core.errors import DataError


def test_a_problem_is_one_line_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    console.say_problem("error", "a\n  [red]b[/red]\t" + "c" * 300)
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"progeo: error: a [red]b[/red] {'c' * 300}\n")


@pytest.mark.parametrize(("count", "lines"), [(0, 0), (10, 10), (13, 11)])
def test_only_the_first_skipped_images_are_named(
    count: int, lines: int, capfd: pytest.CaptureFixture[str]
) -> None:
    console.say_skipped([f"{number}.jpg: empty" for number in range(count)])
    shown = capfd.readouterr().err.splitlines()
    assert len(shown) == lines
    if count > 10:
        assert shown[-1] == "progeo: skipped: and 3 more"


def test_json_is_whole_on_stdout_and_in_a_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    document = {"map": "größe [x]" + "y" * 300, "values": [1.5, None]}
    console.write_json(Path("-"), document)
    printed = capfd.readouterr().out
    console.write_json(tmp_path / "out.json", document)
    assert json.loads(printed) == document
    assert (tmp_path / "out.json").read_text(encoding="utf-8") == printed


def test_json_that_cannot_be_written_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none/out.json: cannot be written \(No such file"):
        console.write_json(tmp_path / "none" / "out.json", {})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_drawn_off_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with console.progress("counting", 3) as advance, console.waiting("for something"):
        advance(3)
    assert capfd.readouterr() == ("", "")


def test_off_a_terminal_progress_is_a_line_every_ten_seconds(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([0.0, 4.0, 11.0, 15.0, 21.5])
    clock = types.SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr(console, "time", clock)
    with console.progress("counting", 400) as advance:
        for _ in range(4):
            advance(20)
    assert capfd.readouterr().err.splitlines() == [
        "progeo: progress: counting: 40 of 400 (10%), 2 min left",
        "progeo: progress: counting: 80 of 400 (20%), 86 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (89.0, "89 s"), (600.0, "10 min"), (9000.0, "2.5 h")]
)
def test_times_are_readable(seconds: float, text: str) -> None:
    assert console._readable_time(seconds) == text


def test_fields_are_aligned(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    console.print_fields("answer [1]", {"a": 1, "long name": "[b]"})
    title, *rows = capfd.readouterr().out.splitlines()
    assert title.strip() == "answer [1]"
    assert [row.split(maxsplit=1)[0] for row in rows] == ["a", "long"]
    assert rows[0].index("1") == rows[1].index("[b]")


def test_warnings_of_the_core_have_lines_of_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "%d images\nleft", (3,), None)
    console.MessageHandler().emit(record)
    assert capfd.readouterr().err == "progeo: warning: 3 images left\n"
