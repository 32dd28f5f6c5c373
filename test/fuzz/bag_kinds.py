"""Bags: mcap and sqlite3 files, and metadata.yaml beside them."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from progeo_core.bags.bag_source import source_of_bag
from progeo_core.bags.reader import Bag
from progeo_core.bags.writer import COMPRESSED_IMAGE_TOPIC, POSE_TOPIC, Storage, write_bag
from progeo_core.geo import Frame
from progeo_core.records.records import Records
from test.fuzz.image_kinds import encoded
from test.fuzz.kind import Kind
from test.fuzz.mutation import mutate, mutate_text

_COUNT = 4


class _BagFiles(NamedTuple):
    """The two files of a bag; without metadata the other file is given alone."""

    name: str
    data: bytes
    metadata: bytes


@functools.cache
def _bag(storage: Storage) -> _BagFiles:
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.jpg")
        image.write_bytes(encoded("JPEG"))
        blank = ("",) * _COUNT
        records = Records(
            images=(image,) * _COUNT,
            position=np.arange(3.0 * _COUNT).reshape(_COUNT, 3),
            frame=Frame.LOCAL,
            yaw_rad=np.linspace(0.0, 1.0, _COUNT),
            stamp_ns=np.arange(_COUNT) * 10**8 + 1_700_000_000 * 10**9,
            camera=blank,
            traverse=blank,
        )
        bag = Path(folder, "bag")
        write_bag(bag, records, compressed=True, storage=storage)
        data = next(file for file in bag.iterdir() if file.suffix in (".mcap", ".db3"))
        return _BagFiles(data.name, data.read_bytes(), (bag / "metadata.yaml").read_bytes())


def _change_data(seed: _BagFiles, rng: Random, others: Sequence[_BagFiles]) -> _BagFiles:
    data = mutate(seed.data, rng, [other.data for other in others])
    return seed._replace(data=data, metadata=rng.choice((seed.metadata, b"")))


def _change_metadata(seed: _BagFiles, rng: Random, others: Sequence[_BagFiles]) -> _BagFiles:
    return seed._replace(
        metadata=mutate_text(seed.metadata, rng, [other.metadata for other in others]) or b" "
    )


def _read(case: _BagFiles, folder: Path) -> None:
    path = folder / "bag"
    path.mkdir()
    (path / case.name).write_bytes(case.data)
    if case.metadata:
        (path / "metadata.yaml").write_bytes(case.metadata)
    else:
        path = path / case.name
    with Bag(path) as bag:
        bag.stamps(COMPRESSED_IMAGE_TOPIC)
        bag.pose_track(POSE_TOPIC)
        list(bag.images(COMPRESSED_IMAGE_TOPIC))
        list(bag.raw_messages(list(bag.topics)))
    source = source_of_bag(path, COMPRESSED_IMAGE_TOPIC, POSE_TOPIC)
    assert np.isfinite(source.records.position[:, :2]).all()
    list(source.images())


KINDS = {
    "bag, mcap": Kind(lambda: [_bag("mcap")], _read, _change_data, share=2.0),
    "bag, sqlite3": Kind(lambda: [_bag("sqlite3")], _read, _change_data),
    "metadata.yaml": Kind(lambda: [_bag("mcap"), _bag("sqlite3")], _read, _change_metadata),
}
