"""Learned local features of images: XFeat (Potje et al., CVPR 2024), with the weights that ship."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.images.codec import Image
from progeo_core.inference.device import AUTO, find_device
from progeo_core.inference.runtime import ONNX, TORCH
from progeo_core.inference.xfeat_runtime import XFeat, choose_xfeat
from progeo_core.inference.xfeat_weights import MULTIPLE, weights_hash

# Local features that are found in a query; a place of a map keeps fewer.
QUERY_FEATURES = 1024
# Larger images (pixels) are scaled down to this longest side: that costs time and gains nothing.
LONGEST_SIDE = 640
# Smaller ones are scaled up to this one: of 160 x 120 pixels, that doubles what fits one scene.
_SHORTEST_SIDE = 480
# Images of one size in the network at a time; on a CPU more gain nothing.
_BATCH, _BATCH_ON_CPU = 8, 1
# Of every so many rows and columns (pixels), one tells whether an image has changed.
_SAMPLED_PX = 16


def working_side(size: tuple[int, int]) -> int:
    """Return the longest side (pixels) at which features of an image of a size are found."""
    return min(max(*size, _SHORTEST_SIDE), LONGEST_SIDE)


class Keypoints(NamedTuple):
    """Local features of an image, the most reliable first.

    points: [n, 2] pixels of the image, whose size is (width, height). descriptors: [n, 64] of unit
    length.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    size: tuple[int, int]

    def best(self, count: int) -> Keypoints:
        """Return the `count` most reliable ones."""
        return Keypoints(self.points[:count], self.descriptors[:count], self.size)


class _Kept(NamedTuple):
    """Image, some of its pixels, and its features: a camera's buffer may be used again."""

    image: weakref.ref[Image]
    sample: Image
    keypoints: Keypoints


class FeatureExtractor:
    """XFeat network on one device, loaded when it is first needed.

    device: where it runs. name: of the network and its weights.
    """

    def __init__(self, device: str = AUTO, runtime: str = AUTO) -> None:
        """Choose the fastest runtime or a named one, as `load_encoder` does.

        Features are the same in all. Raises `UsageError` for a device that is not known.
        """
        self.device = find_device(device)
        self._runtime = runtime
        self._batch = _BATCH_ON_CPU if self.device.type == "cpu" else _BATCH
        self.name = f"xfeat-{weights_hash()}"
        # By the identity of an image, whose memory may be another's once it is gone.
        self._kept: dict[int, _Kept] = {}

    def load(self) -> None:
        """Load the network, which takes seconds, before the first image needs it.

        Raises `UsageError` for a runtime that is not known or cannot be used, `ProgeoError` where a
        named one cannot run the network; so does the first image without.
        """
        _ = self._network

    @functools.cached_property
    def _network(self) -> XFeat:
        return choose_xfeat(self.device, self._runtime)

    def find(
        self, images: Sequence[Image], count: int = QUERY_FEATURES, side: int | None = None
    ) -> list[Keypoints]:
        """Return the `count` best local features of each RGB image [h, w, 3].

        side: longest side (pixels) that images are scaled to, None that of `working_side`; features
        at that size are kept as long as the image is, so that whatever describes it, compares it
        with others and maps it runs the network once between them.
        """
        if side is not None:
            return self._find(images, count, side)
        known = [self._of_kept(image, count) for image in images]
        missing = [image for image, kept in zip(images, known, strict=True) if kept is None]
        found = self._find(missing, max(count, QUERY_FEATURES), None)
        for image, keypoints in zip(missing, found, strict=True):
            self._keep(image, keypoints)
        rest = iter(found)
        return [(kept or next(rest)).best(count) for kept in known]

    def _keep(self, image: Image, keypoints: Keypoints) -> None:
        key = id(image)
        reference = weakref.ref(image, lambda _: self._kept.pop(key, None))
        self._kept[key] = _Kept(reference, _sample(image), keypoints)

    def _of_kept(self, image: Image, count: int) -> Keypoints | None:
        """Return features that are known already; None where more are asked than were kept."""
        kept = self._kept.get(id(image))
        if kept is None or kept.image() is not image:
            return None
        if not np.array_equal(kept.sample, _sample(image)):
            return None
        if count > max(QUERY_FEATURES, len(kept.keypoints.points)):
            return None
        return kept.keypoints

    def _find(self, images: Sequence[Image], count: int, side: int | None) -> list[Keypoints]:
        found: dict[int, Keypoints] = {}
        by_size: dict[tuple[int, int], list[int]] = {}
        for row, image in enumerate(images):
            by_size.setdefault((image.shape[1], image.shape[0]), []).append(row)
        for size, rows in by_size.items():
            for start in range(0, len(rows), self._batch):
                batch = rows[start : start + self._batch]
                pixels = np.stack([_scaled(images[row], size, side) for row in batch])
                found |= zip(batch, self._of_batch(pixels, size, count), strict=True)
        return [found[row] for row in range(len(images))]

    def _of_batch(
        self, pixels: NDArray[np.uint8], size: tuple[int, int], count: int
    ) -> Iterator[Keypoints]:
        height, width = pixels.shape[1:3]
        scale = np.array([size[0] / width, size[1] / height], np.float32)
        for values in self._network.keypoints(pixels, count):
            points, descriptors = values[:, :2], values[:, 2:]
            lengths = np.linalg.norm(descriptors, axis=1, keepdims=True)
            yield Keypoints(
                (points + np.float32(0.5)) * scale - np.float32(0.5),
                descriptors / np.maximum(lengths, np.float32(1e-12)),
                size,
            )


_SHARED: dict[tuple[str, str], FeatureExtractor] = {}


def shared_extractor(device: str = AUTO, runtime: str = AUTO) -> FeatureExtractor:
    """Return this process's extractor in a runtime, so that no image's features are found twice.

    runtime: of the encoder beside it; one that is not for local features leaves the choice.
    """
    key = str(find_device(device)), runtime if runtime in (TORCH, ONNX) else AUTO
    if key not in _SHARED:
        _SHARED[key] = FeatureExtractor(*key)
    return _SHARED[key]


def _sample(image: Image) -> Image:
    """Return a copy of some pixels, by which an image is known."""
    return image[::_SAMPLED_PX, ::_SAMPLED_PX].copy()


def _scaled(image: Image, size: tuple[int, int], side: int | None) -> Image:
    """Return an image at a size that the network takes."""
    scale = (working_side(size) if side is None else side) / max(size)
    wanted = [max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE) for side in size]
    if tuple(wanted) == size:
        return image
    kind = cv2.INTER_AREA if wanted[0] < size[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, wanted, interpolation=kind), np.uint8)
