import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from progeo_core.errors import DataError
from progeo_core.images.codec import read_image
from progeo_core.train.benchmark import find_benchmarks, right_predictions
from progeo_core.train.descriptors import Describer
from progeo_core.train.evaluation import measure, measure_once, write_recalls
from progeo_core.train.journal import Journal
from progeo_core.train.prediction_pictures import save_predictions
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
    (benchmark,) = find_benchmarks(str(dataset / "val"))
    with Journal(tmp_path, ALONE) as journal:
        measured = measure(describer, benchmark, RADIUS_M, tmp_path / "cache", journal)
        again = measure(describer, benchmark, RADIUS_M, tmp_path / "cache", journal)
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
    (benchmark,) = find_benchmarks(str(tmp_path / "val"))
    with Journal(tmp_path, ALONE) as journal:
        recall = measure_once(describer, benchmark, RADIUS_M, tmp_path / "scratch", journal)
    assert not (tmp_path / "scratch").exists()
    assert (recall.queries, recall.with_positives, recall.skipped) == (22, 21, 1)
    assert recall.at[20] == pytest.approx(20 / 22)
    assert len((tmp_path / "skipped.txt").read_text().splitlines()) == 1
    write_recalls([recall], tmp_path / "recall.json")
    (result,) = json.loads((tmp_path / "recall.json").read_text())["results"]
    assert result["recall_at"]["20"] == pytest.approx(20 / 22)
    assert result["protocol"]["radius_m"] == RADIUS_M


def test_pictures_frame_right_green_and_wrong_red(dataset: Path, tmp_path: Path) -> None:
    (benchmark,) = find_benchmarks(str(dataset / "val"))
    predictions = np.tile(np.arange(20), (20, 1))
    right = right_predictions(benchmark, predictions, RADIUS_M)
    written = save_predictions(benchmark, predictions, RADIUS_M, tmp_path, count=2)
    assert written == len(list(tmp_path.iterdir())) == 20
    wrong = save_predictions(
        benchmark, predictions, RADIUS_M, tmp_path / "wrong", count=2, only_wrong=True
    )
    assert wrong == (~right[:, 0]).sum() > 0
    for query, is_right in ((0, True), (19, False)):
        assert right[query, 0] == is_right
        picture = read_image(tmp_path / f"{query:06d}.jpg")
        frame = picture[3, picture.shape[1] // 2].astype(int)
        assert (frame[1] > frame[0]) == is_right


def test_folders_without_a_benchmark_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs database/ and one or more of queries"):
        find_benchmarks(str(tmp_path))
    with pytest.raises(DataError, match="datasets/pitts30k/images/test: needs database/"):
        find_benchmarks("pitts30k")


def test_images_without_a_position_are_counted(tmp_path: Path) -> None:
    for name in ("database/@1@2@.jpg", "queries/@1@2@.jpg", "queries/@@@.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"queries/@@@.jpg: no east and north.*; 1 of 2 images"):
        find_benchmarks(str(tmp_path))
    (tmp_path / "queries" / "@@@.jpg").rename(tmp_path / "queries" / "holiday.jpg")
    with pytest.raises(DataError, match=r"holiday.jpg: not an image name with '@' fields"):
        find_benchmarks(str(tmp_path))
