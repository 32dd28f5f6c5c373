import pytest

from progeo_core import errors


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (errors.ProgeoError, 1),
        (errors.UsageError, 2),
        (errors.DataError, 1),
        (errors.ImageError, 1),
        (errors.ModelMismatchError, 1),
        (errors.MissingDependencyError, 1),
    ],
)
def test_a_script_can_tell_bad_use_from_a_failed_run(kind, exit_code):
    error = kind("drive.csv: there is no column x_m")
    assert isinstance(error, errors.ProgeoError)
    assert error.exit_code == exit_code
    assert str(error) == "drive.csv: there is no column x_m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a.yaml: no\n  in line 2,\r\n  column 3", "a.yaml: no in line 2, column 3"),
        ("x\x1b[31m.jpg: red", r"x\x1b[31m.jpg: red"),
        ("\udcff\u202egpj.exe: odd", r"\udcff\u202egpj.exe: odd"),
        ("  two  blanks, ü 東京", "  two  blanks, ü 東京"),
    ],
)
def test_a_message_is_one_line_that_any_terminal_shows(text, shown):
    assert str(errors.DataError(text)) == shown


def test_a_message_with_a_huge_value_is_cut_in_its_middle():
    message = str(errors.DataError(f"records.csv, line 2: '{'9' * 70_000}' is not a number"))
    assert message.startswith("records.csv, line 2: '9")
    assert message.endswith("9' is not a number")
    assert len(message) < 5000


def test_another_model_is_bad_data():
    with pytest.raises(errors.DataError):
        raise errors.ModelMismatchError("made with small; in use is large")


def test_one_is_no_plural():
    assert [errors.counted(n, "place") for n in (0, 1, 2)] == ["0 places", "1 place", "2 places"]
