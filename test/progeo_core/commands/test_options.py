import dataclasses

import pytest
import typer
import typer.testing

from progeo_core.commands.options import MODEL, PROTOCOL, RadiusOption, setting_option
from progeo_core.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class Tower(Settings):
    """Settings with one bound on each side."""

    floors: int = setting(3, "Floors above the ground", low=1)
    name: str = setting("", "Name on the door")


def test_an_option_has_the_meaning_and_the_range_of_its_setting() -> None:
    floors, name = (setting_option(Tower, one, f"--{one}") for one in ("floors", "name"))
    assert floors.help == "Floors above the ground."
    assert (floors.min, floors.max) == (1, None)
    assert (name.min, name.max) == (None, None)


def test_a_value_out_of_range_is_refused_by_the_command_line() -> None:
    program = typer.Typer()

    @program.command()
    def show(radius: RadiusOption = PROTOCOL.radius_m) -> None:
        print(radius)

    run = typer.testing.CliRunner().invoke
    assert run(program, ["--radius", "2.5"]).output == "2.5\n"
    assert run(program, []).output == "25.0\n"
    refused = run(program, ["--radius", "0"])
    assert refused.exit_code == 2
    assert "greater than or equal to 0.001" in refused.output


def test_the_defaults_are_valid_settings() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODEL.model = "other"  # type: ignore[misc]
    assert (MODEL.device, MODEL.runtime) == ("auto", "auto")
