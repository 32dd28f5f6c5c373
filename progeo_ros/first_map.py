"""What the node begins with: the map, and the model that goes with it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

from progeo_core.errors import ProgeoError
from progeo_core.fleet.robot_fleet import RobotFleet
from progeo_core.geo import Datum
from progeo_core.inference.map_model import model_of_fingerprint, model_of_map
from progeo_core.model.built_in import DEFAULT_MODEL
from progeo_ros.loaded_map import has_places, open_map
from progeo_ros.settings import NodeSettings

_log = logging.getLogger(__name__)


class FirstMap(NamedTuple):
    """Path of a map with places, "" where there is none yet, and the model for `load_encoder`.

    datum: of that map.
    """

    path: str
    model: str
    datum: Datum | None = None


def first_map(settings: NodeSettings, fleet: RobotFleet | None) -> FirstMap:
    """Return the map that the parameter names, else the region of the fleet that is at hand.

    Raises a `ProgeoError` where there has to be a map, or a model cannot be found.
    """
    may_be_without = settings.mapping or (settings.close_loops and not settings.map)
    if has_places(settings.map) or not (may_be_without or fleet is not None):
        return _with_model(settings, settings.map)
    if fleet is not None:
        kept = fleet.cache.newest()
        if kept is not None and _fits(kept, fleet):
            return _with_model(settings, str(kept))
        if fleet.model is not None and not settings.model:
            whose = f"{fleet.uri}: the store"
            return FirstMap("", model_of_fingerprint(fleet.model, Path(), whose))
    return FirstMap("", settings.model or DEFAULT_MODEL)


def _with_model(settings: NodeSettings, path: str) -> FirstMap:
    with open_map(path) as place_map:
        model = settings.model or model_of_map(place_map)
        return FirstMap(path, model, place_map.datum)


def _fits(kept: Path, fleet: RobotFleet) -> bool:
    """Whether a region of an earlier run can be used: undamaged, and of the store's model."""
    try:
        with open_map(str(kept)) as place_map:
            return fleet.model in {None, place_map.fingerprint}
    except ProgeoError as error:
        _log.warning("the region of an earlier run is not used: %s", error)
        return False
