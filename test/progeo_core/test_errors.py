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


def test_another_model_is_bad_data():
    with pytest.raises(errors.DataError):
        raise errors.ModelMismatchError("made with small; in use is large")
