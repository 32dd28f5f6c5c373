"""Identity of weights, from a file or from memory: a digest of names, types, shapes and bytes."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

VISUAL = ("backbone.", "aggregation.", "local.")
TEXT = ("token_embedding.", "text_encoder.")

# torch's words for the types of safetensors that weights come in.
_TYPES = {
    "F64": "torch.float64",
    "F32": "torch.float32",
    "F16": "torch.float16",
    "BF16": "torch.bfloat16",
    "I64": "torch.int64",
    "I32": "torch.int32",
    "I16": "torch.int16",
    "I8": "torch.int8",
    "U8": "torch.uint8",
    "BOOL": "torch.bool",
}
_HEADER_BYTES = 8


class Weight(NamedTuple):
    """Weight of a network; kind: its type in torch's words."""

    name: str
    kind: str
    shape: list[int]
    values: Any  # a buffer


def digest_of_weights(weights: Iterable[Weight]) -> str:
    """Return the SHA-256 of weights that come in the order of their names."""
    digest = hashlib.sha256()
    for name, kind, shape, values in weights:
        digest.update(f"{name} {kind} {shape}\n".encode())
        digest.update(values)
    return digest.hexdigest()


def digest_of_file(path: Path) -> str:
    """Return the digest of the visual weights in a file of safetensors, as `sha256_of` does.

    Raises `ValueError`, `KeyError` or `TypeError` where the file is none.
    """
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as data,
    ):
        start = _HEADER_BYTES + int.from_bytes(data[:_HEADER_BYTES], "little")
        header = json.loads(bytes(data[_HEADER_BYTES:start]))
        names = sorted(name for name in header if name.startswith(VISUAL))
        return digest_of_weights(_weight(name, header[name], data[start:]) for name in names)


def _weight(name: str, said: dict[str, Any], data: memoryview) -> Weight:
    first, last = said["data_offsets"]
    return Weight(name, _TYPES[said["dtype"]], said["shape"], data[first:last])
