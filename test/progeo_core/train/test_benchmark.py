import json
from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.errors import DataError
from progeo_core.train.benchmark import (
    Benchmark,
    find_benchmarks,
    predict,
    recall_of,
    right_predictions,
)


def lay_out(root: Path, *names: str) -> None:
    """Make empty images: only their names are read."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    """Return three queries: beside the first place, beside none, and in another zone."""
    lay_out(
        tmp_path,
        *(f"database/@{east}@0@32@U@.jpg" for east in (0, 100, 200)),
        *("queries/@10@0@32@U@.jpg", "queries/@150@0@32@U@.jpg", "queries/@200@0@33@U@.jpg"),
    )
    return find_benchmarks(str(tmp_path), "test")[0]


def test_a_prediction_is_right_within_the_radius_and_the_zone(benchmark: Benchmark) -> None:
    predictions = np.array([[0, 1, -1], [1, 2, 0], [2, 1, 0]])
    right = right_predictions(benchmark, predictions, 25.0)
    assert right.tolist() == [[True, False, False], [False] * 3, [False] * 3]
    assert right_predictions(benchmark, predictions, 50.0)[1].tolist() == [True, True, False]


def test_queries_without_a_positive_count_as_missed(benchmark: Benchmark) -> None:
    recall = recall_of(benchmark, np.array([[1, 0], [1, 2], [2, 1]]), 25.0, skipped=1)
    assert recall.at == pytest.approx({1: 0.0, 5: 1 / 3, 10: 1 / 3, 20: 1 / 3})
    assert (recall.queries, recall.with_positives, recall.database) == (3, 1, 3)
    assert "R@5: 33.3" in str(recall)
    document = json.loads(json.dumps(recall.to_json()))
    assert document["recall_at"]["5"] == pytest.approx(1 / 3)
    assert (document["skipped"], document["protocol"]["with_positives"]) == (1, 1)


def test_the_twenty_nearest_are_predicted_and_minus_one_fills_up() -> None:
    database = np.eye(4, dtype=np.float32)
    predictions = predict(database[[2]] + 0.1 * database[[0]], database, torch.device("cpu"))
    assert predictions.shape == (1, 20)
    assert predictions[0, :2].tolist() == [2, 0]
    assert set(predictions[0, 4:]) == {-1}


def test_every_usual_set_of_queries_is_read_and_free_names_are_given(tmp_path: Path) -> None:
    lay_out(tmp_path, "database/@1@2@.jpg", "queries_v1/@1@2@.jpg", "queries_night/@1@2@.jpg")
    lay_out(tmp_path, "base/@1@2@.jpg", "base/@3@2@.jpg", "evening/@1@2@.jpg")
    usual = find_benchmarks(str(tmp_path), "test")
    assert [one.name for one in usual] == ["queries_v1", "queries_night"]
    (free,) = find_benchmarks(str(tmp_path), "test", "base", "evening")
    assert (free.name, len(free.database.images)) == ("evening", 2)


def test_folders_without_a_benchmark_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs database/, here or in test/"):
        find_benchmarks(str(tmp_path), "test")
    lay_out(tmp_path, "database/@1@2@.jpg")
    with pytest.raises(DataError, match=r"needs queries/ or queries_v1/ .* beside database/"):
        find_benchmarks(str(tmp_path), "test")
    with pytest.raises(DataError, match=r"needs night/ beside database/"):
        find_benchmarks(str(tmp_path), "test", queries_folder="night")


def test_images_without_a_position_are_counted(tmp_path: Path) -> None:
    lay_out(tmp_path, "database/@1@2@.jpg", "queries/@1@2@.jpg", "queries/@@@.jpg")
    with pytest.raises(DataError, match=r"queries/@@@.jpg: no east and north.*; 1 of 2 images"):
        find_benchmarks(str(tmp_path), "test")
    (tmp_path / "queries" / "@@@.jpg").rename(tmp_path / "queries" / "holiday.jpg")
    with pytest.raises(DataError, match=r"holiday.jpg: not an image name with '@' fields"):
        find_benchmarks(str(tmp_path), "test")
