"""The commands of the guide are ones that the programs understand."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from progeo_core.train.options import read_options
from test.command_tree import command_tree

ROOT = Path(__file__).resolve().parent.parent.parent


def guide_commands() -> list[list[str]]:
    """Return the words of every command in the guide, continued lines joined."""
    text = (ROOT / "training" / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^    ((?:progeo|python) .*)$", text, re.M)]


# Scripts of one model, with arguments of their own.
RECIPE = {"progeo_tiny.py", "ablation.py"}


def test_there_is_a_way_from_a_bag_to_a_replay() -> None:
    named = [" ".join(words[:2]) for words in guide_commands()]
    way = ["progeo bag", "progeo dataset", "python training/train.py", "progeo model", "progeo map"]
    order = [named.index(step) for step in [*way, "progeo replay"]]
    assert order == sorted(order)


@pytest.mark.parametrize(
    "words", [words for words in guide_commands() if words[0] == "python"], ids=" ".join
)
def test_training_scripts_take_their_flags(words: list[str]) -> None:
    script = ROOT / words[1]
    assert script.is_file()
    if script.name in RECIPE:
        source = script.read_text(encoding="utf-8")
        assert all(f'"{word}"' in source for word in words if word.startswith("--"))
    else:
        read_options("Guide.", words[2:])


@pytest.mark.parametrize(
    "words", [words for words in guide_commands() if words[0] == "progeo"], ids=" ".join
)
def test_progeo_takes_its_options(words: list[str]) -> None:
    command: Any = command_tree()
    words = words[1:]
    while isinstance(command, typer.core.TyperGroup):
        command = command.commands[words.pop(0)]
    known = {flag for option in command.params for flag in option.opts}
    assert {word for word in words if word.startswith("--")} <= known
