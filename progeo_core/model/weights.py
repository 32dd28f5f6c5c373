"""Weights: read them safely, identify them, and put them into a network that they fit."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from progeo_core.errors import DataError, ModelMismatchError

State: TypeAlias = dict[str, Tensor]

VISUAL = ("backbone.", "aggregation.")
TEXT = ("token_embedding.", "text_encoder.")
_CLIP_TEXT = ("transformer.", "positional_embedding", "ln_final.", "text_projection")


def read_state(path: Path) -> State:
    """Read a checkpoint (.safetensors, .pth, OpenAI's TorchScript .pt) onto the CPU.

    Nothing but tensors and plain containers is unpickled; a training checkpoint is unwrapped.
    Raises `DataError` for a file that is missing, damaged or no checkpoint.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint file")
    try:
        state = _unwrapped(_read(path))
    except Exception as error:  # torch raises whatever the damaged bytes lead it to
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: not a checkpoint of tensors, or damaged ({reason})") from error
    if not state:
        raise DataError(f"{path}: the checkpoint holds no weights by name")
    return state


def to_network_names(state: Mapping[str, Tensor]) -> State:
    """Rename the weights of a CLIP model, or of torchvision's MobileNetV2, to the authors' names.

    Names that are the authors' already stay; what the network does not use is left out.
    """
    renamed: State = {}
    for name, tensor in state.items():
        bare = name.removeprefix("module.").removeprefix("text.")
        if bare.startswith((*VISUAL, *TEXT)):
            renamed[bare] = tensor
        elif bare.startswith(("visual.", "features.")):
            renamed[f"backbone.{bare.partition('.')[2]}"] = tensor
        elif bare.startswith(_CLIP_TEXT):
            renamed[f"text_encoder.{bare}"] = tensor
    return renamed


def visual_part(state: Mapping[str, Tensor]) -> State:
    """Keep the backbone and the head."""
    return {name: tensor for name, tensor in state.items() if name.startswith(VISUAL)}


def has_text(state: Mapping[str, Tensor]) -> bool:
    """Say whether the text side is there."""
    return any(name.startswith(TEXT) for name in state)


def sha256_of(state: Mapping[str, Tensor]) -> str:
    """Digest the visual weights: names, types, shapes and bytes, whatever file they come from.

    The text side has no say in descriptors and none here.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(visual_part(state).items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        values = tensor.detach().cpu().contiguous().view(-1)
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_weights(
    network: nn.Module, state: Mapping[str, Tensor], source: str, optional: tuple[str, ...] = ()
) -> None:
    """Give a network its weights in float32; those named `optional` may be absent.

    Raises `ModelMismatchError` naming `source` and the first weight that does not fit.
    """
    expected = network.state_dict()
    missing = [key for key in expected if key not in state and not key.startswith(optional)]
    foreign = [key for key in state if key not in expected]
    reshaped = [key for key in state if key in expected and state[key].shape != expected[key].shape]
    wrong = {"is missing": missing, "is not part of it": foreign, "has another shape": reshaped}
    for what, keys in wrong.items():
        if keys:
            raise ModelMismatchError(
                f"{source}: the weights do not fit the network:"
                f" '{keys[0]}' {what} ({len(keys)} such weights)"
            )
    as_float32 = {key: _in_float32(tensor) for key, tensor in state.items()}
    network.load_state_dict(as_float32, strict=False, assign=True)


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if _is_torchscript(path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the format is old; so are the files
            archive: nn.Module = torch.jit.load(path, "cpu")  # type: ignore[no-untyped-call]
        return archive.state_dict()
    return torch.load(path, map_location="cpu", weights_only=True)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _unwrapped(content: Any) -> State:
    """Take the weights out of a training checkpoint."""
    for key in ("model_state_dict", "state_dict"):
        if key in content:
            content = content[key]
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _in_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
