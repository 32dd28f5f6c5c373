"""`--ray`: the processes that describe images, for the commands that take many of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.commands.console import waiting

if TYPE_CHECKING:
    from progeo_core.fleet.build import Describer
    from progeo_core.fleet.described_blocks import FleetModel

RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Describe the images on a Ray cluster: HOST:PORT of its head, auto for the one that"
        " this machine belongs to, or local for the cores and GPUs of this machine alone. Default:"
        " in this process.",
        show_default=False,
    ),
]


def threads_of_networks() -> int:
    """Return how many threads a network takes, one unless `OMP_NUM_THREADS` says otherwise.

    The last digits of descriptors depend on it, so it is not left to the machine.
    """
    from progeo_core.inference.device import thread_count

    return thread_count() if os.environ.get("OMP_NUM_THREADS") else 1


@contextlib.contextmanager
def ray_describer(address: str, model: FleetModel) -> Iterator[Describer]:
    """Yield what describes images on a Ray cluster while the block runs."""
    from progeo_core.fleet.ray_workers import RayCluster

    with waiting("connecting to Ray"):
        cluster = RayCluster(address, model, threads_of_networks())
    with contextlib.closing(cluster):
        yield cluster.describe
