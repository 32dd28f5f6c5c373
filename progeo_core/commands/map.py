"""`progeo map`: build or extend a map, look at it, look after it."""

from __future__ import annotations

from typing import ClassVar

from progeo_core.commands.lazy_group import Awaited, LazyGroup
from progeo_core.commands.typer_versions import CommandGroup


class MapCommands(LazyGroup):
    """Commands about maps."""

    awaited: ClassVar[dict[str, Awaited]] = {
        "build": Awaited("map_build", "Build a map from images with known positions."),
        "structure": Awaited("map_structure", "Give a map the local features and 3-D points."),
        "view": Awaited("map_view", "Write a map as one page that a browser opens offline."),
        "info": Awaited("map_info", "Show what a map holds."),
        "merge": Awaited("map_care", "Join maps of one model into a new one."),
        "prune": Awaited("map_care", "Drop places that tell nothing new."),
        "calibrate": Awaited("map_care", "Fit the confidence to images with known positions."),
        "export": Awaited("map_care", "Write the places of a map for other programs."),
    }


app = CommandGroup(
    cls=MapCommands, no_args_is_help=True, help="Build a map, look at it, look after it."
)
