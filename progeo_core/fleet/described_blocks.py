"""Describing images for a fleet's store, cut so that one process or many do it alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from progeo_core.descriptors.encoder import Encoder, Skipped, runtime_of
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

    features: 0 for none. The others: see `load_encoder`.
    """

    model: str
    device: str
    runtime: str
    trust_code: bool
    features: int

    def load(self) -> tuple[Encoder, ViewFinder | None]:
        """Return the encoder, and what finds local features; see `load_encoder` for errors."""
        from progeo_core.inference.loading import load_encoder

        encoder = load_encoder(self.model, self.device, self.runtime, trust_code=self.trust_code)
        if not self.features:
            return encoder, None
        from progeo_core.inference.feature_extractor import shared_extractor
        from progeo_core.verification.view_finder import DepthViewFinder

        extractor = shared_extractor(self.device, self.runtime)
        return encoder, DepthViewFinder(extractor, self.features)


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
