"""The commands about maps, which are imported one by one."""

import typer

from progeo_core.commands import map as map_commands


def test_a_command_is_there_once_it_is_named() -> None:
    group = typer.main.get_group(map_commands.app)
    assert isinstance(group, map_commands.MapCommands)
    assert group.commands["info"].get_short_help_str() == "Show what a map holds."
    assert group.commands["info"].callback is None
    group.load("info")
    assert {one.name for one in group.commands["info"].params} >= {"map_path", "check", "as_json"}
    group.load("no such command")
