"""Weights: read them safely, identify them, and put them into a network that they fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from progeo_core.errors import DataError, ModelMismatchError
from progeo_core.model.torch_file import read_torch_file
from progeo_core.model.weight_digest import TEXT, VISUAL, Weight, digest_of_weights

State: TypeAlias = dict[str, Tensor]

_CLIP_TEXT = ("transformer.", "positional_embedding", "ln_final.", "text_projection")
# What holds the weights in a training checkpoint.
_WRAPPERS = ("model_state_dict", "state_dict", "model")
# What stands before the names of weights that were saved from inside another module.
_PREFIXES = ("module.", "model.", "text.")
# What OpenAI's own files hold besides weights, and no others do.
_OPENAI_SIZES = {"input_resolution", "context_length", "vocab_size"}
# Tensors may repeat their numbers, and so be larger than their file: by a text side at most.
_MAX_REPEATED_BYTES = 1 << 30


def read_state(path: Path) -> State:
    """Read a checkpoint (.safetensors, .pth, OpenAI's TorchScript .pt) onto the CPU.

    Nothing that the file holds is run (see `read_torch_file`); a training checkpoint is unwrapped.
    Raises `DataError` for a file that is missing, damaged or no checkpoint.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint file")
    if path.suffix == ".onnx":
        raise DataError(f"{path}: an ONNX file is used as it is; name the model as onnx:{path}")
    try:
        state = _unwrapped(_read(path))
        _check_size(state, path.stat().st_size)
    except Exception as error:  # damaged bytes may lead anywhere
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
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
        bare = _bare(name)
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
    """Whether the text side is there."""
    return any(name.startswith(TEXT) for name in state)


def is_of_openai(state: Mapping[str, Tensor]) -> bool:
    """Whether a state as read from its file is CLIP as OpenAI published it."""
    return {_bare(name) for name in state} >= _OPENAI_SIZES


def sha256_of(state: Mapping[str, Tensor]) -> str:
    """Digest the visual weights: names, types, shapes and bytes, whatever file they come from.

    The text side does not change descriptors, and is left out.
    """
    return digest_of(visual_part(state))


def digest_of(state: Mapping[str, Tensor]) -> str:
    """Digest weights: names, types, shapes and bytes."""
    return digest_of_weights(_weight(name, tensor) for name, tensor in sorted(state.items()))


def _weight(name: str, tensor: Tensor) -> Weight:
    values = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data
    return Weight(name, str(tensor.dtype), list(tensor.shape), values)


def load_weights(
    network: nn.Module, state: Mapping[str, Tensor], source: str, optional: tuple[str, ...] = ()
) -> None:
    """Give a network its weights in float32; those named `optional` may be absent.

    Raises `ModelMismatchError` naming `source` and the first weight that does not fit, `DataError`
    for one that is not finite.
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
    damaged = [key for key, tensor in state.items() if not torch.isfinite(tensor).all()]
    if damaged:
        raise DataError(
            f"{source}: '{damaged[0]}' holds values that are not finite ({len(damaged)} such"
            " weights); take a checkpoint from before the training diverged"
        )
    as_float32 = {key: _in_float32(tensor) for key, tensor in state.items()}
    network.load_state_dict(as_float32, strict=False, assign=True)


def _read(path: Path) -> Any:
    return load_file(path) if path.suffix == ".safetensors" else read_torch_file(path)


def _unwrapped(content: Any) -> State:
    """Return the weights that a training checkpoint holds."""
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__}, not weights by name")
    state = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    unnamed = next((name for name in state if not isinstance(name, str)), None)
    if unnamed is not None:
        raise ValueError(f"a weight is called {unnamed!r}, which is no text")
    return state


def _check_size(state: State, file_bytes: int) -> None:
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if claimed > file_bytes + _MAX_REPEATED_BYTES:
        raise ValueError(f"its weights would take {claimed / 1e9:.1f} GB, far more than the file")


def _bare(name: str) -> str:
    """Return the name of a weight without those of the modules around the network."""
    bare = name.replace("_orig_mod.", "")  # of torch.compile, at any depth
    while bare.startswith(_PREFIXES):
        bare = bare.partition(".")[2]
    return bare


def _in_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
