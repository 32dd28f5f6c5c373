"""Typer apps with plain help, for typer 0.9 of Ubuntu 24.04 and newer ones."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import typer

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class CommandGroup(typer.Typer):
    """Typer app whose commands may have annotations that are strings, and `X | None`.

    Help is plain text, which needs no import of rich; indented lines of a docstring keep theirs.
    """

    def __init__(self, **options: Any) -> None:
        """Take what typer takes."""
        super().__init__(rich_markup_mode=None, pretty_exceptions_enable=False, **options)

    def command(self, *args: Any, **options: Any) -> Callable[[FunctionT], FunctionT]:
        """Return what makes a function a command, as typer does."""
        return _plain_first(super().command(*args, **options))

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
    if get_origin(hint) is Annotated:
        kind, *extras = get_args(hint)
        subscripts: Any = (_plain(kind), *extras)
        return Annotated[subscripts]
    if isinstance(hint, types.UnionType):
        return Union[get_args(hint)]  # noqa: UP007 - the operator makes what typer does not know
    return hint
