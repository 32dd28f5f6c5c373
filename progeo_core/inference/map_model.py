"""The model of a map, found by the name that the map has for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import UsageError
from progeo_core.map.place_map import PlaceMap
from progeo_core.model.built_in import built_in_folder
from progeo_core.model.model_address import ONNX_FILE, parse_model_address
from progeo_core.model.model_presets import PRESETS
from progeo_core.model.stored_model import HF_FORM, is_model_folder

# How files of weights end; tags of open_clip have no such ends.
_WEIGHTS = {".bin", ".pt", ".pth", ".safetensors"}


def model_of_map(place_map: PlaceMap) -> str:
    """Return what `load_encoder` loads the model of a map by; see `model_of_fingerprint`."""
    folder = place_map.path.parent
    return model_of_fingerprint(place_map.fingerprint, folder, f"{place_map.path}: the map")


def model_of_fingerprint(fingerprint: ModelFingerprint, folder: Path, whose: str) -> str:
    """Return what `load_encoder` loads a model by.

    That is a model that ships, a preset, a folder of the model's name or of Hugging Face or a file
    (ONNX, or weights of a backbone) in `folder` or here, a tag of a backbone's weights, or another
    address. Raises `UsageError` where it cannot be found. whose: what the model made, for that
    message.
    """
    name = fingerprint.name
    if built_in_folder(name) is not None or name in PRESETS:
        return name
    address = parse_model_address(name)
    prefix, _, rest = name.partition(":")
    if address is not None and address.form == ONNX_FILE:
        found, form = _find_path(prefix, rest, folder, Path.is_file), f"{ONNX_FILE}:FILE"
    elif prefix == HF_FORM:
        found, form = _find_path(prefix, rest, folder, Path.is_dir), f"{HF_FORM}:FOLDER"
    elif address is None and Path(rest).suffix in _WEIGHTS:
        found, form = _find_path(prefix, rest, folder, Path.is_file), f"{prefix}:FILE"
    elif ":" in name:
        return name
    else:
        found, form = _find_folder(name, folder), "FOLDER"
    if not found:
        raise UsageError(
            f"{whose} was made with {fingerprint}, which is neither beside"
            f" it nor here: say where it is with --model {form} (the node's parameter model)"
        )
    return found


def _find_folder(name: str, folder: Path) -> str:
    """Return the model folder of a name in `folder`, else here; "" where there is none."""
    if name and is_model_folder(folder / name):
        return str(folder / name)
    return name if name and is_model_folder(Path(name)) else ""


def _find_path(prefix: str, rest: str, folder: Path, fits: Callable[[Path], bool]) -> str:
    """Return PREFIX:PATH[?options] with what fits in `folder`, else here; "" where there is none.

    It may have moved together with what it made: the last part is looked for in `folder`, too.
    """
    name, *options = rest.partition("?")
    file = Path(name)
    for path in (folder / file, file.expanduser(), folder / file.name):
        if fits(path):
            return f"{prefix}:{path}{''.join(options)}"
    return ""
