"""Training settings from a command line; the flags are the fields of the settings."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from progeo_core.errors import UsageError
from progeo_core.settings import Settings
from progeo_core.train.settings import TrainingSettings


def read_options(description: str, arguments: Sequence[str] | None = None) -> TrainingSettings:
    """Parse `arguments` (default: the command line); exit with code 2 on a bad one."""
    defaults = TrainingSettings()
    parser = argparse.ArgumentParser(description=description)
    groups = {field.name: getattr(defaults, field.name) for field in dataclasses.fields(defaults)}
    for name, group in groups.items():
        _add_group(parser, name, group)
    values = vars(parser.parse_args(arguments))
    try:
        chosen: dict[str, Any] = {name: _pick(group, values) for name, group in groups.items()}
        return TrainingSettings(**chosen)
    except UsageError as error:
        parser.error(str(error))


def _add_group(parser: argparse.ArgumentParser, name: str, group: Settings) -> None:
    title = parser.add_argument_group(name, (type(group).__doc__ or "").partition("\n")[0])
    for field in dataclasses.fields(group):
        flag = f"--{field.name}"
        text = field.metadata["description"]
        if isinstance(field.default, bool):
            title.add_argument(flag, action="store_true", help=text)
            continue
        if isinstance(field.default, tuple):
            shown = " ".join(map(str, field.default))
            title.add_argument(
                flag,
                nargs="+",
                type=int,
                default=field.default,
                metavar="N",
                help=f"{text} (default: {shown})",
            )
            continue
        shown = f" (default: {field.default})" if field.default != "" else ""
        title.add_argument(
            flag,
            type=type(field.default),
            default=field.default,
            choices=field.metadata["choices"] or None,
            metavar=None if field.metadata["choices"] else field.name.upper(),
            help=text + shown,
        )


def _pick(group: Settings, values: dict[str, Any]) -> Settings:
    chosen = {field.name: values[field.name] for field in dataclasses.fields(group)}
    lists = {name: tuple(value) for name, value in chosen.items() if isinstance(value, list)}
    return type(group)(**chosen | lists)
