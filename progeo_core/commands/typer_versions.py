"""Typer apps with plain help, for typer 0.9 of Ubuntu 24.04 and newer ones."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
# Among the extras of a plain type: without it, Python 3.10 would give back the equal one with `|`,
# which it keeps.
_PLAIN = object()


class PlainCommand(TyperCommand):
    """Command whose help is click's; typer 0.9 draws it with rich wherever that is installed."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help as click does."""
        super(TyperCommand, self).format_help(ctx, formatter)


class PlainGroup(TyperGroup):
    """Group of commands whose help is click's."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help as click does."""
        super(TyperGroup, self).format_help(ctx, formatter)


class CommandGroup(typer.Typer):
    """Typer app whose commands may have annotations that are strings, and `X | None`.

    Help is plain text, which needs no import of rich; indented lines of a docstring keep theirs.
    """

    def __init__(self, **options: Any) -> None:
        """Take what typer takes."""
        plain: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
        super().__init__(**{"cls": PlainGroup, **plain, **options})

    def command(self, *args: Any, **options: Any) -> Callable[[FunctionT], FunctionT]:
        """Return what makes a function a command, as typer does."""
        return _plain_first(super().command(*args, cls=PlainCommand, **options))

    def callback(self, *args: Any, **options: Any) -> Callable[[FunctionT], FunctionT]:
        """Return what makes a function the options of the whole app, as typer does."""
        return _plain_first(super().callback(*args, **options))


def _plain_first(register: Callable[[FunctionT], FunctionT]) -> Callable[[FunctionT], FunctionT]:
    def registered(function: FunctionT) -> FunctionT:
        hints = get_type_hints(function, include_extras=True)
        function.__annotations__ = {name: _plain(hint) for name, hint in hints.items()}
        function.__doc__ = _examples_kept(function.__doc__)
        return register(function)

    return registered


def _examples_kept(text: str | None) -> str | None:
    """Return a docstring with the mark of click before each paragraph that is not to be filled."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    marked = (f"\b\n{one}" if one.startswith(" ") else one for one in paragraphs)
    return "\n\n".join(marked) or None


def _plain(hint: Any) -> Any:
    """Return the same type without `|`."""
    if get_origin(hint) is Union:
        # Python 3.10 puts one around what has None as its default.
        hint = next((one for one in get_args(hint) if get_origin(one) is Annotated), hint)
    if get_origin(hint) is Annotated:
        kind, *extras = get_args(hint)
        subscripts: Any = (_plain(kind), *extras, _PLAIN)
        return Annotated[subscripts]
    if isinstance(hint, types.UnionType):
        return Union[get_args(hint)]  # noqa: UP007 - the operator makes what typer does not know
    return hint
