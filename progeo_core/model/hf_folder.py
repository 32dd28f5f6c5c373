"""Folders of Hugging Face that hold an open_clip model, as they were downloaded: hf:FOLDER."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
from open_clip import CLIPTextCfg, CLIPVisionCfg

from progeo_core.errors import DataError, UsageError
from progeo_core.model.clip_backbone import clip_config
from progeo_core.model.preprocessing import RESAMPLINGS, Preprocessing
from progeo_core.model.stored_model import HF_FORM

_CONFIG_FILE = "open_clip_config.json"
_WEIGHTS_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class HfFolder(NamedTuple):
    """What a folder says. backbone: open_clip's name of its network; weights: their file."""

    backbone: str
    weights: Path
    preprocessing: Preprocessing


def read_hf_folder(model: str) -> HfFolder | None:
    """Read the folder of "hf:FOLDER", None for a name of another form.

    FOLDER holds open_clip_config.json and the weights, or is that of a model in the hub's cache
    (models--OWNER--NAME). Raises `DataError` for any other, and for a network that the installed
    open_clip has not; `UsageError` where no folder is named.
    """
    form, _, rest = model.partition(":")
    if form != HF_FORM:
        return None
    if not rest:
        raise UsageError(f"model '{model}': write it as {HF_FORM}:FOLDER")
    named = Path(rest).expanduser()
    if not named.is_dir():
        raise DataError(f"{named}: no such folder; {HF_FORM}: takes one that was downloaded")
    folder = _snapshot(named)
    config = _read_config(folder / _CONFIG_FILE)
    weights = next((folder / name for name in _WEIGHTS_FILES if (folder / name).is_file()), None)
    if weights is None:
        raise DataError(f"{folder}: holds none of {', '.join(_WEIGHTS_FILES)}")
    try:
        network, seen = dict(config["model_cfg"]), dict(config.get("preprocess_cfg", {}))
        backbone = _backbone_of(network)
        preprocessing = _preprocessing(network, seen)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / _CONFIG_FILE}: describes no network ({error})") from error
    if not backbone:
        raise DataError(
            f"{folder / _CONFIG_FILE}: its network is none of open_clip {open_clip.__version__}"
        )
    return HfFolder(backbone, weights, preprocessing)


def _snapshot(folder: Path) -> Path:
    """Return the folder with the files: of a model in the hub's cache, what it downloaded last."""
    reference = folder / "refs" / "main"
    return folder / "snapshots" / reference.read_text().strip() if reference.is_file() else folder


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"{path}: missing; take a model that its owner published for open_clip"
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not isinstance(config, dict):
        raise DataError(f"{path}: describes no network")
    return config


def _backbone_of(network: Mapping[str, Any]) -> str:
    """Return open_clip's name of a network, "" where it has none.

    Descriptors come from the visual side. Of networks that share it, the one with the same text
    side is preferred.
    """
    visual, text = _sides(network)
    found = ""
    for name in open_clip.list_models():
        known_visual, known_text = _sides(clip_config(name))
        if known_visual == visual:
            if known_text == text:
                return str(name)
            found = found or str(name)
    return found


def _sides(network: Mapping[str, Any]) -> tuple[Any, Any]:
    visual = network["embed_dim"], CLIPVisionCfg(**network["vision_cfg"])
    return (*visual, bool(network.get("quick_gelu"))), CLIPTextCfg(**network["text_cfg"])


def _preprocessing(network: Mapping[str, Any], seen: Mapping[str, Any]) -> Preprocessing:
    size = network["vision_cfg"].get("image_size", CLIPVisionCfg.image_size)
    height, width = size if isinstance(size, list) else (size, size)
    kind = seen.get("interpolation", "bicubic")
    mean, std = (
        tuple(float(value) for value in seen.get(name, usual))
        for name, usual in (
            ("mean", open_clip.OPENAI_DATASET_MEAN),
            ("std", open_clip.OPENAI_DATASET_STD),
        )
    )
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0.0:
        raise ValueError(f"mean {mean}, std {std}")
    return Preprocessing(
        int(height), int(width), kind if kind in RESAMPLINGS else "bicubic", mean, std
    )
