"""The model of a map, found by the name that the map has for it."""

from __future__ import annotations

from pathlib import Path

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import UsageError
from progeo_core.map.place_map import PlaceMap
from progeo_core.model.built_in import built_in_folder
from progeo_core.model.model_presets import PRESETS
from progeo_core.model.stored_model import is_model_folder


def model_of_map(place_map: PlaceMap) -> str:
    """Return what `load_encoder` loads the model of a map by; see `model_of_fingerprint`."""
    folder = place_map.path.parent
    return model_of_fingerprint(place_map.fingerprint, folder, f"{place_map.path}: the map")


def model_of_fingerprint(fingerprint: ModelFingerprint, folder: Path, whose: str) -> str:
    """Return what `load_encoder` loads a model by.

    That is a model that ships, a preset, a folder of the model's name in `folder` or here, a
    backbone and its weights, or an address. Raises `UsageError` where it cannot be found.
    whose: what the model made, for that message.
    """
    name = fingerprint.name
    beside = folder / name
    if built_in_folder(name) is not None or name in PRESETS or ":" in name:
        return name
    if name and is_model_folder(beside):
        return str(beside)
    if name and is_model_folder(Path(name)):
        return name
    raise UsageError(
        f"{whose} was made with {fingerprint}, which is neither beside"
        " it nor here: say where it is with --model FOLDER (the node's parameter model)"
    )
