"""Annotations that typer 0.9 does not know, in a command and in all of `progeo`."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from progeo_core.cli import app
from progeo_core.commands.typer_versions import CommandGroup


def functions(group: typer.Typer) -> Iterator[Any]:
    """Yield every function behind a command, of groups in groups, too."""
    yield from (item.callback for item in group.registered_commands)
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from functions(inner.typer_instance)


@pytest.mark.parametrize("function", list(functions(app)), ids=lambda item: item.__name__)
def test_no_command_has_an_annotation_that_typer_0_9_does_not_know(function: Any) -> None:
    for name, parameter in inspect.signature(function).parameters.items():
        assert not isinstance(parameter.annotation, str), name
        kind = get_args(parameter.annotation)[0]
        assert not isinstance(kind, types.UnionType), name
        assert "Literal" not in str(kind), name


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
