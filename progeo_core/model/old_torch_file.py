"""Files of torch.save from before version 1.6: pickles one after another, then the numbers.

The first three pickles are a signature, a version and sizes of types; the fourth is the content,
and the fifth lists the blocks of numbers, which follow in that order, each after its length.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import torch
from torch import Tensor

from progeo_core.model.restricted_pickle import Name, read_pickle

_SIGNATURE, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_LENGTH = struct.Struct("<q")


class OldTorchFile:
    """File of that form, and the blocks of numbers that its content refers to.

    types: of the blocks, by the names of torch's storages.
    """

    def __init__(self, file: BinaryIO, size: int, types: Mapping[str, torch.dtype]) -> None:
        self._file, self._unread, self._types = file, size, types
        self._blocks: dict[str, tuple[bytearray, torch.dtype]] = {}

    def read(self, builders: Mapping[str, Callable[..., object]], class_prefix: str) -> Any:
        """Return the content; builders and class_prefix as `read_pickle` takes them."""
        if read_pickle(self._file, {}) != _SIGNATURE or read_pickle(self._file, {}) != _VERSION:
            raise ValueError("no file of torch.save")
        if read_pickle(self._file, {}).get("little_endian") is not True:
            raise ValueError("its numbers are of another byte order")
        content = read_pickle(self._file, builders, self._referred, class_prefix)
        keys = read_pickle(self._file, {})
        if not isinstance(keys, list) or set(keys) != set(self._blocks):
            raise ValueError("it lists other blocks of numbers than its content has")
        for key in keys:
            self._fill(*self._blocks[key])
        return content

    def _referred(self, identification: Any) -> object:
        """Return a block of numbers, to be filled later, or the class of a module."""
        if identification[0] == "module":
            return identification[1]
        kind, storage, key, _, count, view = identification
        if kind != "storage" or not isinstance(storage, Name) or not isinstance(key, str):
            raise ValueError("its pickle has an odd reference to numbers")
        if view is not None:
            raise ValueError("its numbers are parts of others, as torch wrote before version 0.4")
        if key not in self._blocks:
            dtype = self._types[storage.path]
            self._unread -= count * dtype.itemsize
            if count < 0 or self._unread < 0:
                raise ValueError("it claims more numbers than the file holds")
            self._blocks[key] = bytearray(count * dtype.itemsize), dtype
        return _tensor_of(*self._blocks[key])

    def _fill(self, block: bytearray, dtype: torch.dtype) -> None:
        (count,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        if count * dtype.itemsize != len(block) or self._file.readinto(block) != len(block):  # type: ignore[attr-defined]
            raise ValueError("a block of its numbers is cut off")


def _tensor_of(block: bytearray, dtype: torch.dtype) -> Tensor:
    """Return all numbers of a block [n], which stay the same memory."""
    return torch.frombuffer(block, dtype=dtype) if block else torch.empty(0, dtype=dtype)
