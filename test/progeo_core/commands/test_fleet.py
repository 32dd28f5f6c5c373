"""The commands about a fleet, which are imported one by one."""

import typer

from progeo_core.commands import fleet


def test_a_command_is_there_once_it_is_named() -> None:
    group = typer.main.get_group(fleet.app)
    assert isinstance(group, fleet.FleetCommands)
    assert group.commands["push"].callback is None
    group.load("push")
    assert {one.name for one in group.commands["push"].params} >= {"map_path", "uri", "robot"}
