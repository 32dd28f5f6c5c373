"""Files of torch.save and torch.jit.save, read without running anything that they hold.

Today's are zip archives of one pickle and one file per block of numbers. TorchScript archives, as
OpenAI's CLIP weights are, hold programs besides: torch.jit.load would run those that restore a
module, and they may write any file. Here the numbers are read and the programs stay where they are.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from progeo_core.model.old_torch_file import OldTorchFile
from progeo_core.model.restricted_pickle import Name, PickledObject, read_pickle

_ZIP_START = b"PK\x03\x04"
_SCRIPT_CLASSES = "__torch__."
_MAX_CODE_BYTES = 1 << 26
# Of the attributes of all modules in a TorchScript archive, and of the longest name.
_MAX_ATTRIBUTES, _MAX_NAME = 500_000, 1_000
_MAX_TEXT = 64  # bytes of a number that were pickled as text
_TYPES = {
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.DoubleStorage": torch.float64,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
_CLASS = re.compile(r"class (\w+)\(Module\):")
_REGISTERED = re.compile(r"  __(?:parameters|buffers)__ = \[(.*)\]")
_QUOTED = re.compile(r'"([^"]*)"')


def read_torch_file(path: Path, class_prefix: str = "") -> Any:
    """Return what torch.save wrote, on the CPU; of a TorchScript archive its state_dict.

    class_prefix: objects of classes whose names begin so become `PickledObject`. Tensors, numbers
    (NumPy's, too), texts and containers of them are read; everything else raises an exception, and
    so does a damaged file. Memory stays in proportion to the size of the file, but for tensors that
    repeat their numbers.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(_ZIP_START)) != _ZIP_START:
            file.seek(0)
            return OldTorchFile(file, size, _TYPES).read(_BUILDERS, class_prefix)
    with zipfile.ZipFile(path) as archive:
        return _Archive(archive, size).read(class_prefix)


class _Archive:
    """Entries of an archive below its one folder, and the blocks of numbers read so far."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        pickles = [name for name in archive.namelist() if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(pickles) != 1:
            raise ValueError("no file of torch.save or torch.jit.save")
        self._archive, self._size = archive, size
        self._folder = pickles[0].removesuffix("data.pkl")
        self._names = set(archive.namelist())
        self._unread = size
        self._blocks: dict[str, bytearray] = {}

    def read(self, class_prefix: str) -> Any:
        if self._has("byteorder") and self._stored("byteorder") != b"little":
            raise ValueError("its numbers are of another byte order")
        scripted = self._has("constants.pkl")
        prefix = _SCRIPT_CLASSES if scripted else class_prefix
        pickle = io.BytesIO(self._stored("data.pkl"))
        content = read_pickle(pickle, _BUILDERS, self._block, prefix)
        return _state_dict(content, self._registered()) if scripted else content

    def _has(self, name: str) -> bool:
        return self._folder + name in self._names

    def _stored(self, name: str) -> bytes:
        """Return an entry that is stored as it is; together they are no larger than the file."""
        entry = self._archive.getinfo(self._folder + name)
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(f"{name[:100]} is compressed, which torch does not do")
        self._unread -= entry.file_size
        if self._unread < 0:
            raise ValueError(f"{name[:100]} claims more than the file holds")
        return self._archive.read(entry)

    def _block(self, identification: Any) -> Tensor:
        """Return a block of numbers [n]; torch identifies it by its type, name and n."""
        kind, storage, key, _, count = identification
        if kind != "storage" or not isinstance(storage, Name) or not isinstance(key, str):
            raise ValueError("its pickle has an odd reference to numbers")
        if key not in self._blocks:
            self._blocks[key] = bytearray(self._stored(f"data/{key}"))
        dtype = _TYPES[storage.path]
        if not count:
            return torch.empty(0, dtype=dtype)
        return torch.frombuffer(self._blocks[key], dtype=dtype, count=count)

    def _registered(self) -> dict[str, set[str]]:
        """Return the parameters and buffers of each class, as the text of its program lists them.

        Other attributes may be tensors, too, and are not part of a state_dict.
        """
        registered: dict[str, set[str]] = {}
        code = f"{self._folder}code/"
        left = _MAX_CODE_BYTES
        for name in sorted(self._names):
            if not (name.startswith(code) and name.endswith(".py")):
                continue
            with self._archive.open(name) as file:
                text = file.read(left + 1)
            left -= len(text)
            if left < 0:
                raise ValueError("its programs are longer than those of any model")
            module = name.removeprefix(code).removesuffix(".py").replace("/", ".")
            current: set[str] = set()
            for line in text.decode().splitlines():
                if found := _CLASS.match(line):
                    current = registered.setdefault(f"{module}.{found[1]}", set())
                elif found := _REGISTERED.match(line):
                    current.update(_QUOTED.findall(found[1]))
        return registered


def _state_dict(module: Any, registered: dict[str, set[str]]) -> dict[str, Tensor]:
    """Return the parameters and buffers of a TorchScript module and those below it, by name."""
    state: dict[str, Tensor] = {}
    waiting, left = [("", module)], _MAX_ATTRIBUTES
    while waiting:
        prefix, one = waiting.pop()
        if not isinstance(one, PickledObject) or not isinstance(one.state, dict):
            continue
        left -= len(one.state)
        if left < 0 or len(prefix) > _MAX_NAME:
            raise ValueError("it has more modules than any model")
        names = registered.get(one.kind, set())
        for name, value in one.state.items():
            if isinstance(value, PickledObject):
                waiting.append((f"{prefix}{name[:_MAX_NAME]}.", value))
            elif isinstance(value, Tensor) and name in names:
                state[f"{prefix}{name}"] = value
    return state


def _tensor(block: Tensor, offset: int, size: Any, stride: Any, *_: object) -> Tensor:
    """Return the tensor of that size whose numbers stand in a block; gradients are left out."""
    reach = sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (all(size) and offset + reach >= len(block)):
        raise ValueError("a tensor reaches beyond its numbers")
    return block.as_strided(size, stride, offset)


def _ordered_dict() -> OrderedDict[str, object]:
    """Return an empty one: pickles fill it later, and copies of a full one might be endless."""
    return OrderedDict()


def _bytes_of(text: str, encoding: str) -> bytes:
    if encoding != "latin1" or len(text) > _MAX_TEXT:
        raise ValueError("its pickle encodes a text")
    return text.encode("latin-1")


def _dtype(name: str, *_: object) -> np.dtype[Any]:
    if not re.fullmatch(r"[fiu][1248]|b1", name):
        raise ValueError(f"it has a NumPy number of type {name[:100]}")
    return np.dtype(name)


def _number(dtype: np.dtype[Any], raw: bytes) -> float:
    number: float = np.frombuffer(raw, dtype, 1)[0].item()
    return number


def _itself(value: object, *_: object) -> object:
    return value


_BUILDERS: dict[str, Callable[..., object]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _itself,
    "torch.Size": _itself,
    "builtins.set": lambda _: set(),
    "__builtin__.set": lambda _: set(),
    "torch.device": lambda *name: ":".join(map(str, name)),
    "_codecs.encode": _bytes_of,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray.scalar": _number,
    "numpy._core.multiarray.scalar": _number,
    "torch.jit._pickle.restore_type_tag": _itself,
    "torch.jit._pickle.build_intlist": _itself,
    "torch.jit._pickle.build_doublelist": _itself,
    "torch.jit._pickle.build_boollist": _itself,
    "torch.jit._pickle.build_tensorlist": _itself,
    **dict.fromkeys((*_TYPES, *map(str, _TYPES.values())), lambda: None),
}
