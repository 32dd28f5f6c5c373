"""`progeo fleet`: one map of many robots, in an object store."""

from __future__ import annotations

from typing import ClassVar

from progeo_core.commands.lazy_group import Awaited, LazyGroup
from progeo_core.commands.typer_versions import CommandGroup


class FleetCommands(LazyGroup):
    """Commands about the map of a fleet."""

    awaited: ClassVar[dict[str, Awaited]] = {
        "push": Awaited("fleet_share", "Add a robot's map to the fleet's store."),
        "build": Awaited("fleet_build", "Add images with known positions to the store."),
        "pull": Awaited("fleet_share", "Write a region of the fleet's store as a map."),
        "align": Awaited("fleet_align", "Find where one drive's map lies in another's."),
        "info": Awaited("fleet_care", "Show what the fleet's store holds."),
        "compact": Awaited("fleet_care", "Join small files and index the fleet's store."),
        "prune": Awaited("fleet_care", "Drop places that tell nothing new."),
        "export": Awaited("fleet_care", "Write the fleet's places for other programs."),
    }


app = CommandGroup(
    cls=FleetCommands,
    no_args_is_help=True,
    help="Share one map among many robots, in a folder or an object store.",
)
