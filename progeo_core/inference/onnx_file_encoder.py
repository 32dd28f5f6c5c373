"""Encoder of an ONNX file, ours or anyone's: its input and its output are found and checked."""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, MissingDependencyError, UsageError
from progeo_core.images.codec import Image
from progeo_core.inference.device import AUTO, Device
from progeo_core.inference.foreign_output import (
    check_descriptors,
    check_repeated,
    describe_each,
    descriptor_of,
)
from progeo_core.inference.onnx_session import providers, start_session
from progeo_core.inference.runtime import (
    FLOAT32,
    ONNX,
    TENSORRT,
    Variant,
    missing_packages,
    precisions,
)
from progeo_core.inference.runtime_trial import trial_images
from progeo_core.model.model_address import DEFAULT_SIDE, ModelAddress
from progeo_core.model.model_card import CARD_PROPERTY, parse_model_card
from progeo_core.model.preprocessing import Preprocessing

_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}
# In a protobuf, the key under which a weight names its file; the length of that name follows.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f]|[\x80-\xff][\x01-\x7f])", re.DOTALL)


def load_onnx_encoder(
    name: str, address: ModelAddress, device: Device, runtime: str = AUTO
) -> OnnxFileEncoder:
    """Load an ONNX file into ONNX Runtime.

    Raises `UsageError` for another runtime or one that cannot use the device, and `DataError` for a
    file that is missing, damaged, or no network from one batch of images to descriptors.
    """
    if runtime not in (AUTO, ONNX, TENSORRT):
        raise UsageError(f"{name}: runs in ONNX Runtime; leave --runtime out, or take {ONNX}")
    if runtime == TENSORRT and TENSORRT not in precisions(device):
        raise UsageError(
            f"{name}: runtime '{TENSORRT}' cannot use device '{device}'; leave --runtime out, or"
            f" take {ONNX}"
        )
    if "onnxruntime" in missing_packages(ONNX):
        raise MissingDependencyError(f"{name}: needs ONNX Runtime: pip install onnxruntime")
    path = Path(address.source).expanduser()
    if not path.is_file():
        raise DataError(f"{path}: no such ONNX file")
    variant = Variant(ONNX if runtime == AUTO else runtime, FLOAT32)
    _check_files_of_weights(path)
    try:
        session = start_session(path, providers(path, variant, device))
    except Exception as error:  # its error classes are not public
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: cannot be read as ONNX ({reason})") from error
    return OnnxFileEncoder(name, path, address, session, variant)


class _Input(NamedTuple):
    """Input of a network; batch: number of images, 0 for any."""

    name: str
    kind: Any
    batch: int
    seen: Preprocessing


class OnnxFileEncoder:
    """Encoder with the network of an ONNX file in ONNX Runtime."""

    def __init__(
        self, name: str, path: Path, address: ModelAddress, session: Any, variant: Variant
    ) -> None:
        """Take over a session of a variant; `DataError` where it gives no descriptors."""
        self.runs_in = str(variant)
        self._name, self._session = name, session
        self._input = _input_of(path, address, session)
        self._output = _output_of(path, address, session)
        self._one_at_a_time = threading.Lock()
        (image, *_) = trial_images()
        probe = self._run(image)
        check_descriptors(name, probe)
        check_repeated(name, probe, self._run(image))
        self._fingerprint = ModelFingerprint(
            architecture="ONNX",
            dimension=probe.shape[1],
            preprocessing=str(self._input.seen),
            weights_sha256=_digest(path),
            name=name,
        )

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the model by the bytes of its file."""
        return self._fingerprint

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Describe RGB uint8 images [h, w, 3] of any sizes as float32 [n, D], in order.

        Raises `ImageError` for an array that is no such image.
        """
        return describe_each(self._name, images, self._fingerprint.dimension, self._run)

    def _run(self, image: Image) -> NDArray[np.float32]:
        name, kind, batch, seen = self._input
        resized = seen.resize(image)[None]
        values = resized if kind is np.uint8 else seen.normalize(resized)
        pixels = np.repeat(values.astype(kind), max(batch, 1), axis=0)
        try:
            with self._one_at_a_time:
                (output,) = self._session.run([self._output], {name: pixels})
        except Exception as error:  # its error classes are not public
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{self._name}: fails on an image of {seen.width}x{seen.height} pixels ({reason});"
                " its address may say another size, as ?size=224"
            ) from error
        return np.asarray(descriptor_of(self._name, output)[:1], np.float32)


def _input_of(path: Path, address: ModelAddress, session: Any) -> _Input:
    """Return the input of a network; `DataError` where it is not one batch of images."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs)
        raise DataError(f"{path}: has {len(inputs)} inputs ({names}); one of images is needed")
    (only,) = inputs
    shape = [side if isinstance(side, int) else 0 for side in only.shape]
    # Where the last side is 3 and the second is open, the channels come last.
    if len(shape) != 4 or (shape[1] != 3 and (shape[1] or shape[3] == 3)):
        raise DataError(
            f"{path}: its input has the shape {only.shape}; images [n, 3, height, width] are needed"
        )
    if only.type not in _TYPES:
        raise DataError(f"{path}: its input is a {only.type}; floats or uint8 are needed")
    batch, _, height, width = shape
    card = session.get_modelmeta().custom_metadata_map.get(CARD_PROPERTY)
    if card is not None and not address.seen:
        seen = parse_model_card(card, path).preprocessing
    else:
        seen = address.preprocessing(height or DEFAULT_SIDE, width or DEFAULT_SIDE)
    if height not in (0, seen.height) or width not in (0, seen.width):
        raise UsageError(f"{path}: takes images of {width}x{height} pixels; leave size out")
    return _Input(only.name, _TYPES[only.type], batch, seen)


def _output_of(path: Path, address: ModelAddress, session: Any) -> str:
    """Return the name of the output with the descriptors."""
    outputs: dict[str, Any] = {one.name: one for one in session.get_outputs()}
    wanted = address.arguments.get("output")
    if wanted is not None:
        if str(wanted) not in outputs:
            raise UsageError(f"{path}: has no output '{wanted}': take one of {', '.join(outputs)}")
        return str(wanted)
    fitting = [name for name, one in outputs.items() if len(one.shape) == 2]
    if len(fitting) != 1:
        shapes = ", ".join(f"{name} {one.shape}" for name, one in outputs.items())
        hint = "; say which, as ?output=NAME" if fitting else ""
        raise DataError(f"{path}: one output [n, D] is needed, and it has {shapes}{hint}")
    return fitting[0]


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file and of those that hold its weights."""
    digest = hashlib.sha256()
    for file in (path, *filter(Path.is_file, _files_of_weights(path))):
        with file.open("rb") as content:
            while block := content.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def _check_files_of_weights(path: Path) -> None:
    """Raise `DataError` where a file of weights lies in another folder, or is missing."""
    for file in _files_of_weights(path):
        if os.path.relpath(file, path.parent).startswith(os.pardir):
            raise DataError(
                f"{path}: cannot be read as ONNX: its weights are in {file}, which is outside its"
                " folder; save both in one folder"
            )
        if not file.is_file():
            raise DataError(f"{path}: its weights are in {file}, which is missing; copy both")


def _files_of_weights(path: Path) -> list[Path]:
    """Return the files that an ONNX file names as those of its weights, without reading it all."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        names = set()
        for found in _LOCATION.finditer(content):
            low, high = found[1][0] & 0x7F, found[1][1] if len(found[1]) > 1 else 0
            names.add(content[found.end() : found.end() + low + (high << 7)])
    return [path.parent / os.fsdecode(name) for name in sorted(names) if b"\0" not in name]
