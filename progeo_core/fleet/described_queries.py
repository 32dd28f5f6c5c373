"""Images of an evaluation that a cluster describes, in the order of the drive."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from progeo_core.bags.bag_source import BagSource
from progeo_core.errors import ImageError
from progeo_core.evaluation.answers import DescribedImage
from progeo_core.evaluation.replay import ReplayInput
from progeo_core.fleet.build import Describer
from progeo_core.fleet.described_blocks import DescribedBlock, of_one_runtime
from progeo_core.fleet.kept_blocks import KeptBlocks
from progeo_core.geo import Frame
from progeo_core.images.codec import Image, load_images
from progeo_core.records.image_source import FileSource, ImageSource
from progeo_core.records.records import Records


class _WholeFiles(FileSource):
    """Image files that are decoded in full: answers are verified by images that are."""

    def images(self, needed_side: int = 0) -> Iterator[Image | ImageError]:
        return load_images(self.records.images)


def described_queries(
    source: ReplayInput, describe: Describer, identity: str
) -> Generator[DescribedImage | ImageError, None, None]:
    """Yield the images of an evaluation as `describe` describes them, in their order.

    They are read here, too, as localizing verifies places by them. identity: all that descriptors
    depend on but the images. Blocks are kept on disk until the last image was taken. Raises
    `DataError` where processes describe in different ways.
    """
    images = _images_of(source)
    kept = KeptBlocks(f"{identity}\0{source.image_topic}", _files_of(source))
    before = list(kept.read())
    missing = np.ones(source.images, bool)
    for block in before:
        missing[[one.row for one in block.described]] = False
        missing[[one.index for one in block.skipped]] = False
    with contextlib.closing(describe(images, images.records, np.flatnonzero(missing))) as described:
        blocks = itertools.chain(before, _keeping(kept, described))
        for row, (taken, found) in enumerate(
            zip(source.taken(), _in_order(of_one_runtime(blocks)), strict=True)
        ):
            if isinstance(taken.image, ImageError):
                yield taken.image
            elif isinstance(found, ImageError):
                yield found
            else:
                yield DescribedImage(
                    row,
                    taken.image,
                    taken.stamp_ns,
                    taken.camera,
                    found,
                    odometry=source.odometry_of(row),
                    traverse=images.records.traverse[row],
                )
    kept.remove()


def _images_of(source: ReplayInput) -> ImageSource:
    if source.records is not None:
        return _WholeFiles(source.records)
    count = source.images
    records = Records(
        images=(source.queries,) * count,
        position=source.truth.position,
        frame=Frame.LOCAL,
        yaw_rad=source.truth.yaw_rad,
        stamp_ns=source.stamp_ns,
        camera=("",) * count,
        traverse=("",) * count,
    )
    return BagSource(source.queries, source.image_topic, records, np.arange(count))


def _files_of(source: ReplayInput) -> Iterable[Path]:
    if source.records is not None:
        return source.records.images
    return sorted(source.queries.iterdir()) if source.queries.is_dir() else [source.queries]


def _keeping(kept: KeptBlocks, blocks: Iterable[DescribedBlock]) -> Iterator[DescribedBlock]:
    for block in blocks:
        kept.keep(block)
        yield block


def _in_order(blocks: Iterable[DescribedBlock]) -> Iterator[NDArray[np.float32] | ImageError]:
    """Yield what was found in each row, from the first on; blocks come in any order."""
    waiting: dict[int, NDArray[np.float32] | ImageError] = {}
    row = 0
    for block in blocks:
        waiting.update((one.row, one.descriptor) for one in block.described)
        waiting.update((one.index, one.error) for one in block.skipped)
        while row in waiting:
            yield waiting.pop(row)
            row += 1
