"""All commands of `progeo`, imported."""

from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup

from progeo_core import cli
from progeo_core.commands.lazy_group import LazyGroup


def command_tree() -> TyperGroup:
    """Return the group of all commands, every one of them imported."""
    group = typer.main.get_command(cli.app)
    assert isinstance(group, TyperGroup)
    _load(group)
    return group


def named_commands(group: TyperGroup, prefix: str = "progeo") -> Iterator[tuple[str, TyperCommand]]:
    """Yield the full name and the command of everything below a group."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from named_commands(command, f"{prefix} {name}")
        else:
            assert isinstance(command, TyperCommand)
            yield f"{prefix} {name}", command


def _load(group: TyperGroup) -> None:
    for name in group.commands:
        if isinstance(group, LazyGroup):
            group.load(name)
        command = group.commands[name]
        if isinstance(command, TyperGroup):
            _load(command)
