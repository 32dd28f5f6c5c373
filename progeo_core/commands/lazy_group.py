"""Group of commands that are imported when they are named, so that no other command waits."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand

from progeo_core.commands.typer_versions import CommandGroup, PlainGroup


class Awaited(NamedTuple):
    """A command that is not imported yet.

    module: one of `progeo_core.commands` with a Typer app called `app`, or with a function of the
    command's name. purpose: what it does, short enough for one line of 80 columns.
    """

    module: str
    purpose: str


class LazyGroup(PlainGroup):
    """Group whose help needs no more of its commands than their names and purposes."""

    awaited: ClassVar[Mapping[str, Awaited]]

    def __init__(self, **options: Any) -> None:
        """Take what typer gives any group."""
        super().__init__(**options)
        for name, command in self.awaited.items():
            self.commands[name] = TyperCommand(name, help=command.purpose)
        self._left = dict(self.awaited)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first word names, as typer does."""
        self.load(args[0])
        return super().resolve_command(ctx, args)

    def load(self, name: str) -> None:
        """Import a command of this group, unless that is done or there is none of that name."""
        if name not in self._left:
            return
        module = importlib.import_module(f"progeo_core.commands.{self._left.pop(name).module}")
        app = getattr(module, "app", None)
        if app is None:
            app = CommandGroup(add_completion=False)
            app.command(name)(getattr(module, name))
            self.commands[name] = typer.main.get_command(app)
        else:
            self.commands[name] = typer.main.get_group(app)
