"""What typer 0.9, which Ubuntu 24.04 ships, does not know about annotations."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import typer

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class CommandGroup(typer.Typer):
    """Typer app whose commands may have annotations that are strings, and `X | None`."""

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
        return register(function)

    return registered


def _plain(hint: Any) -> Any:
    """Return the same type without `|`."""
    if get_origin(hint) is Annotated:
        kind, *extras = get_args(hint)
        subscripts: Any = (_plain(kind), *extras)
        return Annotated[subscripts]
    if isinstance(hint, types.UnionType):
        return Union[get_args(hint)]  # noqa: UP007 - the operator makes what typer does not know
    return hint
