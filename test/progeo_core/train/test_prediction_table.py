import csv
from pathlib import Path

import numpy as np
import pytest

from progeo_core.train.benchmark import find_benchmarks, recall_of
from progeo_core.train.evaluation import Measured
from progeo_core.train.prediction_table import COLUMNS, write_predictions

NAMES = (
    "database/@0@0@32@U@.jpg", "database/@30@40@32@U@.jpg", "database/@0@0@52@U@.jpg",
    "queries/@0@0@32@U@@@a, b@.jpg", "queries/@30@40@32@U@.jpg",
)  # fmt: skip


def test_every_prediction_is_a_row_that_no_spreadsheet_runs(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (benchmark,) = find_benchmarks(str(tmp_path), "test")
    names = list(benchmark.database.images.names())
    near, far, other_zone = (names.index(Path(name).name) for name in NAMES[:3])
    predictions = np.array([[near, far, other_zone], [near, -1, -1]])
    distances = np.array([[0.25, 0.5, 0.75], [0.125, np.nan, np.nan]], np.float32)
    recall = recall_of(benchmark, predictions, 25.0)
    path = tmp_path / "predictions.csv"
    write_predictions(benchmark, Measured(recall, predictions, distances), 25.0, path)
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert tuple(head) == COLUMNS
    queries = [f"queries/{name}" for name in benchmark.queries.images.names()]
    assert rows == [
        [queries[0], "1", NAMES[0], "0.250000", "0.00", "1"],
        [queries[0], "2", NAMES[1], "0.500000", "50.00", "0"],
        [queries[0], "3", NAMES[2], "0.750000", "", "0"],
        [queries[1], "1", NAMES[0], "0.125000", "50.00", "0"],
    ]
    right = [float(row[-1]) for row in rows if row[1] == "1"]
    assert np.mean(right) == pytest.approx(recall.at[1])
    assert not any(line.startswith(("=", "+", "-", "@")) for line in path.read_text().splitlines())
