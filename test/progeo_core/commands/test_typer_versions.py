"""Annotations that typer 0.9 does not know, in a command and in all of `progeo`."""

from __future__ import annotations

import enum
import inspect
import types
from pathlib import Path
from typing import Annotated, get_args

import pytest
import typer
from typer.core import TyperCommand
from typer.testing import CliRunner

from progeo_core.commands.typer_versions import CommandGroup
from test.command_tree import command_tree, named_commands


@pytest.mark.parametrize("command", [one for _, one in named_commands(command_tree())], ids=str)
def test_no_command_has_an_annotation_that_typer_0_9_does_not_know(command: TyperCommand) -> None:
    assert command.callback is not None
    for name, parameter in inspect.signature(command.callback).parameters.items():
        assert not isinstance(parameter.annotation, str), name
        kind = get_args(parameter.annotation)[0]
        assert not isinstance(kind, types.UnionType), name
        assert "Literal" not in str(kind), name
        if isinstance(parameter.default, enum.Enum):
            assert isinstance(parameter.default, str), name


def test_deferred_and_optional_annotations_make_options_with_their_help() -> None:
    group = CommandGroup()

    @group.command()
    def echo(
        name: Annotated[Path | None, typer.Option("--from", help="Where from.")] = None,
    ) -> None:
        typer.echo(repr(name))

    runner = CliRunner()
    assert runner.invoke(group, []).stdout == "None\n"
    assert "a.csv" in runner.invoke(group, ["--from", "a.csv"]).stdout
    assert "Where from." in runner.invoke(group, ["--help"]).stdout


def test_help_fills_its_text_and_keeps_the_lines_of_examples() -> None:
    group = CommandGroup()

    @group.command()
    def echo() -> None:
        """Say it.

        What is said
        is filled.

            progeo echo a
            progeo echo b
        """

    shown = CliRunner().invoke(group, ["--help"]).stdout
    assert "  What is said is filled.\n" in shown
    assert "      progeo echo a\n      progeo echo b\n" in shown
