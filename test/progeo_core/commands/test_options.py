import dataclasses

import pytest
import typer
from typer.testing import CliRunner

from progeo_core.commands import options
from progeo_core.settings import Settings, setting


@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [
        ("--radius", "0", "0.001"),
        ("--radius", "far", "number"),
        ("--geometric-checks", "51", "50"),
    ],
)
def test_a_value_out_of_range_is_bad_use(progeo, tmp_path, flag, value, told):
    done = progeo("evaluate", "--map", tmp_path / "none.progeo", "--queries", tmp_path, flag, value)
    assert done.code == 2
    assert done.error.startswith(f"Invalid value for '{flag}'")
    assert told in done.error


def test_an_option_is_its_setting():
    """The meaning, the range and the default of an option are those of the settings class."""

    @dataclasses.dataclass(frozen=True)
    class Walk(Settings):
        step_m: float = setting(0.5, "Metres between places", low=0.1, high=2.0)
        pace: float = setting(1.0, "Steps per second")

    step = options.setting_option(Walk, "step_m", "--step", "M")
    assert (step.help, step.min, step.max) == ("Metres between places.", 0.1, 2.0)
    pace = options.setting_option(Walk, "pace", "--pace")
    assert (pace.min, pace.max) == (None, None)


def test_options_reach_a_command_under_their_flags():
    app = typer.Typer()

    @app.command()
    def show(
        map_path: options.MapOption,
        model: options.ModelOption = options.MODEL.model,
        device: options.DeviceOption = options.MODEL.device,
        radius: options.RadiusOption = options.PROTOCOL.radius_m,
    ) -> None:
        typer.echo(f"{map_path} {model} {device} {radius:g}")

    run = CliRunner().invoke
    assert run(app, ["--map", "a.progeo"]).output == "a.progeo mobilenetv2-gem auto 25\n"
    given = ["--map", "a.progeo", "--model", "small", "--device", "cpu", "--radius", "2"]
    assert run(app, given).output == "a.progeo small cpu 2\n"
