"""Describing images for a fleet's store, cut so that one process or many do it alike."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder, Skipped, runtime_of
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ModelMismatchError
from progeo_core.images.codec import Image
from progeo_core.map.described_images import DescribedImage, describe_images
from progeo_core.map.place_features import StructureNote, ViewFinder
from progeo_core.map.places import IdArray
from progeo_core.records.image_source import ImageSource
from progeo_core.records.records import Records

# Images of one commit: a kill costs each worker at most these. A multiple of the images that an
# encoder is given at a time, so that these are the same however the work is cut.
BLOCK = 128


class FleetModel(NamedTuple):
    """Model that makes descriptors, where it runs, and how many local features there are of each.

    features: 0 for none. one_by_one: images are given to the network one at a time, as a robot's
    come. fingerprint: of the model where the command runs, None to take any. The others: see
    `load_encoder`.
    """

    model: str
    device: str
    runtime: str
    trust_code: bool
    features: int
    one_by_one: bool = False
    fingerprint: ModelFingerprint | None = None

    def load(self) -> tuple[Encoder, ViewFinder | None]:
        """Return the encoder, and what finds local features; see `load_encoder` for errors.

        Raises `ModelMismatchError` where this machine has another model of that name.
        """
        from progeo_core.inference.loading import load_encoder

        encoder = load_encoder(self.model, self.device, self.runtime, trust_code=self.trust_code)
        if self.fingerprint not in {None, encoder.fingerprint}:
            raise ModelMismatchError(
                f"{self.model}: on {platform.node()} it is {encoder.fingerprint}, where the command"
                f" runs {self.fingerprint}; give every machine of the cluster the same files"
            )
        if self.one_by_one:
            encoder = _OneByOne(encoder)
        if not self.features:
            return encoder, None
        from progeo_core.inference.feature_extractor import shared_extractor
        from progeo_core.verification.view_finder import DepthViewFinder

        extractor = shared_extractor(self.device, self.runtime)
        return encoder, DepthViewFinder(extractor, self.features)


class _OneByOne:
    """Encoder that gives another one the images one at a time."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self.fingerprint = encoder, encoder.fingerprint
        self.runs_in = runtime_of(encoder)

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        return np.concatenate([self._encoder.encode([image]) for image in images])


class Stretch(NamedTuple):
    """Images that one process describes one after another.

    rows: their numbers among all of the input, ascending. source, records: of these rows, the
    records in metres of the session.
    """

    rows: IdArray
    source: ImageSource
    records: Records


class DescribedBlock(NamedTuple):
    """What was found in up to `BLOCK` images of a stretch; rows are those of the whole input.

    note: what made the local features, None without any. runs_in: runtime that the encoder names,
    "" where it names none.
    """

    images: int
    described: list[DescribedImage]
    skipped: list[Skipped]
    note: StructureNote | None
    runs_in: str


def of_one_runtime(blocks: Iterable[DescribedBlock]) -> Iterator[DescribedBlock]:
    """Yield blocks; raise `DataError` at the first that was described in another way."""
    found: set[str] = set()
    for block in blocks:
        found.add(block.runs_in)
        if len(found) > 1:
            raise DataError(
                f"processes describe images in different ways, {' and '.join(sorted(found))}, whose"
                " descriptors differ in their last digits: name one with --runtime"
            )
        yield block


def cut(source: ImageSource, records: Records, rows: IdArray, length: int) -> Iterator[Stretch]:
    """Yield stretches of up to `length` of some rows of a source; records: of all its rows."""
    for start in range(0, len(rows), length):
        chosen = rows[start : start + length]
        yield Stretch(chosen, source.select(chosen), records.select(chosen))


def describe_stretch(
    stretch: Stretch, encoder: Encoder, structure: ViewFinder | None
) -> Iterator[DescribedBlock]:
    """Yield what is found in the images of a stretch, in order, at most a block in memory."""
    rows = stretch.rows.tolist()
    outcomes = describe_images(stretch.source, stretch.records, encoder, structure)
    while found := list(itertools.islice(outcomes, BLOCK)):
        yield DescribedBlock(
            len(found),
            [one._replace(row=rows[one.row]) for one in found if isinstance(one, DescribedImage)],
            [Skipped(rows[one.index], one.error) for one in found if isinstance(one, Skipped)],
            None if structure is None else structure.note,
            runtime_of(encoder),
        )
