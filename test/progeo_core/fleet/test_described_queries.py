"""Images of an evaluation, described elsewhere: the same answers as here, and on after a stop."""

import contextlib
import dataclasses

import cv2
import numpy as np
import pytest

from progeo_core.bags.writer import write_bag
from progeo_core.evaluation.replay import read_input, records_input, replay_offline
from progeo_core.fleet import described_blocks
from progeo_core.fleet.build import in_this_process
from progeo_core.fleet.described_blocks import FleetModel
from progeo_core.fleet.described_queries import described_queries
from progeo_core.fleet.ray_workers import RayCluster
from progeo_core.images.codec import read_image
from progeo_core.map.build import build_map
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records

COUNT, BROKEN = 24, 5


@pytest.fixture(scope="module")
def records(corridor, tmp_path_factory):
    """Return JPEGs that are decoded at a half where no more is needed, one of them broken."""
    folder = tmp_path_factory.mktemp("queries")
    few = read_records(corridor / "query.csv").select(slice(0, COUNT))
    files = []
    for row, path in enumerate(few.images):
        files.append(folder / f"{row}.jpg")
        cv2.imwrite(str(files[-1]), cv2.resize(read_image(path), (640, 480)))
    files[BROKEN].write_bytes(b"\xff\xd8\xff")
    return dataclasses.replace(few, images=tuple(files))


@pytest.fixture(scope="module")
def place_map(corridor, small_encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("maps") / "corridor.progeo"
    source = FileSource(read_records(corridor / "ref.csv").select(slice(0, COUNT)))
    build_map(path, source, small_encoder)
    return path


@pytest.fixture
def source(records, place_map):
    return records_input(records.images[0].parent, place_map, records, 2.0)


@pytest.fixture
def blocks_of_four(monkeypatch):
    monkeypatch.setattr(described_blocks, "BLOCK", 4)


def answer(source, encoder, described=None):
    """Return all that an evaluation says of every image, but for how long it took."""
    run = replay_offline(source, encoder, described, verification_ms=0)
    answers = [
        (row, one.descriptor.astype(np.float16).tobytes(), one.estimate.position.tobytes(),
         one.estimate.confidence, one.stamp_ns, one.camera, one.accepted)
        for row, one in zip(run.rows.tolist(), run.localizations, strict=True)
    ]  # fmt: skip
    return answers, run.skipped


def test_blocks_in_any_order_are_answered_as_here(source, small_encoder, blocks_of_four):
    def backwards(images, records, rows):
        yield from reversed([*in_this_process(small_encoder, None)(images, records, rows)])

    answers, skipped = answer(source, small_encoder)
    assert (len(answers), f"{BROKEN}.jpg" in skipped[0]) == (COUNT - 1, True)
    described = described_queries(source, backwards, "backwards")
    assert answer(source, small_encoder, described) == (answers, skipped)


def test_an_interrupted_run_goes_on(source, small_encoder, blocks_of_four, cache_home):
    asked: list[int] = []

    def describe(images, records, rows):
        asked.append(len(rows))
        return in_this_process(small_encoder, None)(images, records, rows)

    with contextlib.closing(described_queries(source, describe, "stop")) as begun:
        before = [next(begun) for _ in range(10)]
    (folder,) = (cache_home / "progeo" / "described").iterdir()
    (folder / "0.npz").write_bytes(b"damaged")
    after = [*described_queries(source, describe, "stop")]
    # Three blocks were begun, the first of which is damaged now.
    assert (asked, len(after)) == ([COUNT, COUNT - 8], COUNT)
    for one, other in zip(before[BROKEN + 1 :], after[BROKEN + 1 : 10], strict=True):
        np.testing.assert_array_equal(one.descriptor, other.descriptor)
    assert [str(one) for one in (before[BROKEN], after[BROKEN])] == [str(before[BROKEN])] * 2
    assert not folder.exists()


@pytest.mark.slow
def test_a_cluster_answers_to_the_bit_as_one_process(
    source, records, place_map, small_model, small_encoder, cluster, tmp_path
):
    good = np.flatnonzero(np.arange(COUNT) != BROKEN)[:10]
    write_bag(tmp_path / "drive", records.select(good))
    bag = read_input(tmp_path / "drive", place_map, "/camera/image_raw", "/ground_truth/pose", 2.0)
    model = FleetModel(str(small_model), "cpu", "auto", False, 0)
    for given, chosen in ((source, model), (bag, model._replace(one_by_one=True))):
        with contextlib.closing(RayCluster(cluster.address, chosen, 1)) as workers:
            described = described_queries(given, workers.describe, "cluster")
            found = answer(given, small_encoder, described)
        assert found == answer(given, small_encoder)
