"""`progeo doctor`: what works on this machine, and what to do about the rest."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.commands.console import print_json, tables, waiting
from progeo_core.commands.options import MODEL, DeviceOption, JsonFlag, ModelOption

if TYPE_CHECKING:
    from progeo_core.evaluation.doctor.finding import Finding

SCHEMA = 1
_MARKS = {"good": "[green]ok[/]", "note": "[yellow]note[/]", "problem": "[red bold]problem[/]"}


def doctor(
    map_path: Annotated[
        Path | None,
        typer.Argument(
            metavar="MAP", help="Map to look at, too: whether it fits the model, what it lacks."
        ),
    ] = None,
    model: ModelOption = MODEL.model,
    device: DeviceOption = MODEL.device,
    as_json: JsonFlag = False,
) -> None:
    """Show what works on this machine, how fast, and what to do about the rest.

    Packages; devices, and how long an image takes in every runtime; ROS distribution, DDS settings
    and the quality of service of the topics that are published now; and a map, where one is named.
    The command fails if something does not work.

        progeo doctor
        progeo doctor office.progeo --json

    JSON: schema (1), findings: subject, state (good, note or problem), text, fix ("" where nothing
    is to do).
    """
    with waiting("looking"):
        findings = list(_findings(map_path, model, device))
    if as_json:
        print_json({"schema": SCHEMA, "findings": [one.to_json() for one in findings]})
    else:
        _print_findings(findings)
    if any(one.state.value == "problem" for one in findings):
        raise typer.Exit(1)


def _findings(map_path: Path | None, model: str, device: str) -> Iterable[Finding]:
    from progeo_core.errors import ProgeoError
    from progeo_core.evaluation.doctor.finding import Finding, State
    from progeo_core.evaluation.doctor.machine import check_devices, check_runtimes
    from progeo_core.evaluation.doctor.map_fit import check_map
    from progeo_core.evaluation.doctor.packages import check_packages
    from progeo_core.evaluation.doctor.ros import check_ros

    found = list(check_packages())
    yield from found
    if not any(one.state is State.PROBLEM for one in found):
        yield from check_devices()
        try:
            yield from check_runtimes(model, device)
        except ProgeoError as error:
            yield Finding("model", State.PROBLEM, str(error), "give another --model or --device")
    yield from check_ros()
    if map_path is not None:
        yield from check_map(map_path, model)


def _print_findings(findings: list[Finding]) -> None:
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(style="bold", overflow="fold", max_width=24)
    table.add_column(overflow="fold")
    for one in findings:
        fix = f"\n→ {one.fix}" if one.fix else ""
        table.add_row(_MARKS[one.state.value], _plain(one.subject), _plain(one.text + fix))
    tables().print(table, highlight=False)
    problems = sum(one.state.value == "problem" for one in findings)
    to_do = sum(bool(one.fix) for one in findings)
    summary = f"problems: {problems}, suggestions: {to_do} (marked →)"
    tables().print(f"\n{summary}", markup=False, highlight=False)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
