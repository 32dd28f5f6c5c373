import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from progeo_core.images.codec import read_image
from progeo_core.train.benchmark import find_benchmarks
from progeo_core.train.descriptors import Describer
from progeo_core.train.evaluation import Protocol, measure, measure_once, write_recalls
from progeo_core.train.journal import Journal
from progeo_core.train.processes import Processes

ALONE = Processes(0, 1, torch.device("cpu"))
RADIUS_M = 5.0


@pytest.fixture
def described() -> list[int]:
    """Return the sizes of the batches that the tiny network was given."""
    return []


@pytest.fixture
def describer(network: nn.Module, described: list[int]) -> Describer:
    """Return a tiny network that counts the images it is given."""

    def encode(images: torch.Tensor) -> torch.Tensor:
        described.append(len(images))
        return network(images.float() / 255)

    return Describer(lambda image: image, encode, 16, "tiny", 8)


def test_recall_is_that_of_a_plain_search(
    dataset: Path, describer: Describer, described: list[int], network: nn.Module, tmp_path: Path
) -> None:
    (benchmark,) = find_benchmarks(str(dataset / "val"), "val")
    with Journal(tmp_path, ALONE) as journal:
        measured = measure(describer, benchmark, Protocol(RADIUS_M), tmp_path / "cache", journal)
        again = measure(describer, benchmark, Protocol(RADIUS_M), tmp_path / "cache", journal)
    assert sum(described) == 40  # the second time it is all in the cache
    assert np.array_equal(measured.predictions, again.predictions)

    def describe(images: list[Path]) -> torch.Tensor:
        pixels = [torch.from_numpy(read_image(image)).permute(2, 0, 1) for image in images]
        with torch.no_grad():
            return network(torch.stack(pixels).float() / 255)

    database, queries = (
        describe(benchmark.database.images[:]),
        describe(benchmark.queries.images[:]),
    )
    order = torch.cdist(queries, database).argsort(1).numpy()
    distance = abs(benchmark.queries.east_m[:, None] - benchmark.database.east_m[order])
    for count, share in measured.recall.at.items():
        assert share == pytest.approx((distance[:, :count] <= RADIUS_M).any(1).mean())
    assert measured.recall.at[20] == 1.0
    assert measured.recall.with_positives == measured.recall.queries == 20
    assert "20 queries, 20 with a positive within 5 m, all counted" in str(measured.recall)
    expected = torch.cdist(queries, database).sort(1).values
    np.testing.assert_allclose(measured.distances, expected, atol=1e-4)


def test_raw_descriptors_are_measured_as_published_and_as_maps_keep_them(
    dataset: Path, describer: Describer, tmp_path: Path
) -> None:
    (benchmark,) = find_benchmarks(str(dataset / "val"), "val")
    length = torch.linspace(1.0, 9.0, 8)

    def raw(images: torch.Tensor) -> torch.Tensor:
        return length[: len(images), None] * describer.encode(images)

    vit = describer._replace(encode=raw, identity="raw")
    with Journal(tmp_path, ALONE) as journal:
        own, published, short = (
            measure(one, benchmark, protocol, tmp_path / "cache", journal).recall
            for one, protocol in (
                (describer, Protocol(RADIUS_M)),
                (vit, Protocol(RADIUS_M)),
                (describer, Protocol(RADIUS_M, (1, 2, 30), 8)),
            )
        )
    assert own.unit_length_at is None
    assert published.unit_length_at == own.at != published.at
    assert published.to_json()["unit_length"]["recall_at"]["1"] == own.at[1]
    assert "scaled to unit length, as in maps, R@1" in str(published)
    assert list(short.at) == [1, 2, 30]
    assert short.at[30] == 1.0
    assert short.at[1] == pytest.approx(own.at[1], abs=0.11)


def test_unreadable_images_and_lonely_queries_count_as_missed(
    dataset: Path, describer: Describer, tmp_path: Path
) -> None:
    for role in ("database", "queries"):
        for image in (dataset / "val" / role).iterdir():
            copy = tmp_path / "val" / role / image.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(image.resolve())
    queries = tmp_path / "val" / "queries"
    (queries / "@500139.000@4000005.000@32@S@@@@@@@@@@broken@.jpg").write_bytes(b"\xff\xd8")
    lonely = next((dataset / "val" / "queries").iterdir())
    (queries / "@500139.000@4000005.000@33@S@@@@@@@@@@other_zone@.jpg").symlink_to(lonely)
    (benchmark,) = find_benchmarks(str(tmp_path / "val"), "val")
    with Journal(tmp_path, ALONE) as journal:
        recall = measure_once(describer, benchmark, RADIUS_M, tmp_path / "scratch", journal).recall
    assert not (tmp_path / "scratch").exists()
    assert (recall.queries, recall.with_positives, recall.skipped) == (22, 21, 1)
    assert recall.at[20] == pytest.approx(20 / 22)
    assert len((tmp_path / "skipped.txt").read_text().splitlines()) == 1
    write_recalls([recall], tmp_path / "recall.json")
    (result,) = json.loads((tmp_path / "recall.json").read_text())["results"]
    assert result["recall_at"]["20"] == pytest.approx(20 / 22)
    assert result["protocol"]["radius_m"] == RADIUS_M
