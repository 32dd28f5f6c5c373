"""What runs the network of XFeat: torch or ONNX Runtime, whichever is faster here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.images.codec import Image
from progeo_core.inference.cached_export import CachedExport
from progeo_core.inference.device import AUTO, Device, choose_device
from progeo_core.inference.onnx_session import Run, open_session
from progeo_core.inference.runtime import FLOAT32, TORCH, Variant
from progeo_core.inference.runtime_choice import choose_runtime
from progeo_core.inference.runtime_memory import exported_file
from progeo_core.inference.xfeat_weights import MULTIPLE, weights_hash

# Of the graph in the ONNX file; a new number makes programs export it again.
_GRAPH = 3
# Width and height of the images of trials, about those of a camera's.
_TRIAL_SIZE = (544, 352)
# Trials compare every so many cells along each side, as the answers are kept in a file.
_TRIAL_STEP = 8
_TRIAL_KEYPOINTS = 256


class XFeat(Protocol):
    """Network of XFeat in a runtime."""

    def maps(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the maps of an RGB image [h, w, 3] (see `XFeatNetwork`)."""
        ...

    def keypoints(self, images: NDArray[np.uint8], count: int) -> list[NDArray[np.float32]]:
        """Return the `count` best keypoints of each RGB image [n, h, w, 3].

        In each row [m, 2 + 64] stand the position (pixels) and the descriptor, not of unit length.
        """
        ...


def choose_xfeat(device: Device, runtime: str = AUTO) -> XFeat:
    """Return what runs XFeat, as `choose_runtime` does, which says what it raises.

    All compute in float32: keypoints of lower precision move by pixels.
    """
    identity = f"XFeat {weights_hash()} {_GRAPH}"
    bench = XFeatWorkbench(device, exported_file(identity))
    return choose_runtime(bench, identity, device, runtime, (FLOAT32,))


class XFeatWorkbench:
    """Builder of what runs XFeat on one device (see `Workbench`).

    torch is imported for what runs in torch and for a new export alone.
    """

    name = "XFeat"

    def __init__(self, device: Device, onnx_file: Path) -> None:
        """Take the file that the export is written to."""
        self._device = device
        self._export = CachedExport(self.name, onnx_file, _write_onnx)

    def build(self, variant: Variant) -> XFeat:
        """Return what runs the network; `ProgeoError` where it cannot be had."""
        if variant.runtime != TORCH:
            run = open_session(self.name, self._export.file(), variant, self._device)
            return _XFeatInFile(run)
        from progeo_core.inference.xfeat_in_torch import XFeatInTorch

        return XFeatInTorch(choose_device(str(self._device)))

    def answers(self, built: XFeat, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return what is found in images as one vector [D] each.

        The maps, every so many cells, and the means of the best keypoints.
        """
        rows = []
        for image in images:
            pixels = np.asarray(cv2.resize(image, _TRIAL_SIZE), np.uint8)
            features, heat, reliability = built.maps(pixels)
            (keypoints,) = built.keypoints(pixels[None], _TRIAL_KEYPOINTS)
            parts = (
                features[:, ::_TRIAL_STEP, ::_TRIAL_STEP],
                _highest(heat),
                reliability[:, ::_TRIAL_STEP, ::_TRIAL_STEP],
                keypoints[:, :2].mean(axis=0) / np.array(_TRIAL_SIZE, np.float32),
                keypoints[:, 2:].mean(axis=0),
            )
            rows.append(np.concatenate([part.ravel() for part in parts]))
        return np.stack(rows)

    def forget_export(self) -> None:
        """Let the export be written again."""
        self._export.forget()


class _XFeatInFile:
    """XFeat in an ONNX file."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def maps(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        outputs = self._run(_inputs(image, 1), ["features", "heat", "reliability"])
        return [one[0] for one in outputs]

    def keypoints(self, images: NDArray[np.uint8], count: int) -> list[NDArray[np.float32]]:
        return [self._run(_inputs(image, count), ["keypoints"])[0] for image in images]


def _inputs(image: NDArray[np.uint8], count: int) -> dict[str, NDArray[np.uint8 | np.int64]]:
    return {"images": image[None], "count": np.array(count, np.int64)}


def _highest(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the highest values of a map [h, w] in squares of `MULTIPLE` pixels."""
    height, width = heat.shape
    squares = heat.reshape(height // MULTIPLE, MULTIPLE, width // MULTIPLE, MULTIPLE)
    highest: NDArray[np.float32] = squares.max(axis=(1, 3))
    return highest


def _write_onnx(path: Path) -> None:
    from progeo_core.inference.xfeat_in_torch import export_xfeat

    export_xfeat(path)
