"""Models of others by their address: an ONNX file, a factory in a module, an entry of torch.hub."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from progeo_core.errors import UsageError
from progeo_core.model.model_presets import PRESETS
from progeo_core.model.preprocessing import RESAMPLINGS, Preprocessing

ONNX_FILE, FACTORY, HUB = "onnx", "py", "hub"
_FORMS = {
    ONNX_FILE: "onnx:FILE",
    FACTORY: "py:MODULE:FACTORY",
    HUB: "hub:OWNER/REPO[@REVISION]:ENTRY or hub:FOLDER:ENTRY",
}
# What a model sees unless its address says otherwise: a multiple of the 14 pixels of DINOv2's
# patches, at which most of these models were tested.
DEFAULT_SIDE = 322
# Options of an address that say what its model sees; all others are arguments of the entry.
_SEEN = ("size", "mean", "std", "interpolation")
_MAX_SIDE = 4096


class ModelAddress(NamedTuple):
    """Where the code or the file of a model is.

    form: `ONNX_FILE`, `FACTORY` or `HUB`. source: file, module, folder or OWNER/REPO. entry: the
    function to call. revision: of a repository, "" for its default branch. arguments: of the entry.
    seen: options that say what the model sees. licence: "" unknown. dimension: of the descriptors
    of a preset, 0 unknown.
    """

    form: str
    source: str
    entry: str = ""
    revision: str = ""
    arguments: Mapping[str, Any] = {}
    seen: Mapping[str, str] = {}
    licence: str = ""
    dimension: int = 0

    @property
    def runs_code(self) -> bool:
        """Whether loading it runs the code of others."""
        return self.form != ONNX_FILE

    def preprocessing(self, height: int, width: int) -> Preprocessing:
        """Return what the model sees; height, width: where the address does not say it.

        Raises `UsageError` for an option that is none.
        """
        seen = Preprocessing(height, width)
        if "size" in self.seen:
            sides = [_side(text) for text in self.seen["size"].split("x")]
            if len(sides) > 2:
                raise UsageError(f"size={self.seen['size']}: give it as PIXELS or WIDTHxHEIGHT")
            seen = seen._replace(height=sides[-1], width=sides[0])
        kind = self.seen.get("interpolation", seen.resampling)
        if kind not in RESAMPLINGS:
            raise UsageError(f"interpolation={kind}: take one of {', '.join(RESAMPLINGS)}")
        mean, std = (
            _three(name, self.seen[name]) if name in self.seen else usual
            for name, usual in (("mean", seen.mean), ("std", seen.std))
        )
        return seen._replace(resampling=kind, mean=mean, std=std)


def parse_model_address(model: str) -> ModelAddress | None:
    """Read the address of a model, or the name of a preset; None for any other name.

    Raises `UsageError` for an address that is not complete, and for options that are none.
    """
    preset = PRESETS.get(model)
    if preset is not None:
        address = parse_model_address(preset.address)
        assert address is not None
        return address._replace(licence=preset.licence, dimension=preset.dimension)
    form, _, rest = model.partition(":")
    if form not in _FORMS or model == form:
        return None
    if not rest:
        raise UsageError(f"model '{model}': write it as {_FORMS[form]}")
    place, _, query = rest.partition("?")
    source, entry = place, ""
    if form != ONNX_FILE:
        source, _, entry = place.rpartition(":")
        if not source or not entry.isidentifier():
            raise UsageError(f"model '{model}': write it as {_FORMS[form]}")
    options = dict(parse_qsl(query, keep_blank_values=True))
    seen = {name: value for name, value in options.items() if name in _SEEN}
    arguments = {name: _value(text) for name, text in options.items() if name not in _SEEN}
    if form == ONNX_FILE and set(arguments) - {"output"}:
        raise UsageError(
            f"model '{model}': an ONNX file takes the options {', '.join((*_SEEN, 'output'))}"
        )
    revision = ""
    if form == HUB and "@" in source and not Path(source).expanduser().is_dir():
        source, _, revision = source.rpartition("@")
    address = ModelAddress(form, source, entry, revision, arguments, seen)
    address.preprocessing(DEFAULT_SIDE, DEFAULT_SIDE)  # says what is wrong before any code runs
    return address


def _value(text: str) -> Any:
    """Return a number, True, False or None where a text is one, else the text."""
    try:
        return ast.literal_eval(text.capitalize() if text in ("true", "false", "none") else text)
    except (ValueError, SyntaxError):
        return text


def _side(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MAX_SIDE:
        raise UsageError(f"size={text}: give pixels, from 1 to {_MAX_SIDE}")
    return int(text)


def _three(name: str, text: str) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(value) for value in text.split(","))
    except ValueError:
        raise UsageError(f"{name}={text}: give three numbers, of red, green and blue") from None
    # A spread is divided by.
    if not all(map(math.isfinite, (red, green, blue))) or (
        name == "std" and min(red, green, blue) <= 0.0
    ):
        raise UsageError(f"{name}={text}: give finite numbers, and as std such above 0")
    return red, green, blue
