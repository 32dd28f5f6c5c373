import json

import numpy as np
import pytest
import torch

from progeo_core.images.codec import read_image
from progeo_core.train.benchmark import Recall, find_benchmarks
from progeo_core.train.epoch_examples import keep_examples
from progeo_core.train.evaluation import Measured
from progeo_core.train.journal import Journal
from progeo_core.train.processes import Processes


@pytest.mark.parametrize("rank", [0, 1])
def test_the_same_queries_are_kept_of_each_epoch_by_the_main_process(dataset, tmp_path, rank):
    (benchmark,) = find_benchmarks(str(dataset / "val"), "val")
    queries, database = len(benchmark.queries.images), len(benchmark.database.images)
    recall = Recall("queries", {1: 0.0}, 5.0, queries, queries, database)
    with Journal(tmp_path, Processes(rank, 2, torch.device("cpu"))) as journal:
        for epoch in range(2):
            predictions = np.full((queries, 2), epoch * (database - 1), np.int64)
            measured = Measured(recall, predictions, np.zeros((queries, 2), np.float32))
            keep_examples(benchmark, measured, 5.0, journal)
            journal.record(epoch, loss=1.0)
    folder = tmp_path / "examples"
    assert folder.exists() == (rank == 0)
    if rank:
        return
    first, second = json.loads((folder / "epochs.json").read_text())
    assert (first["epoch"], second["epoch"]) == (0, 1)
    assert [one["query"] for one in first["queries"]] == [one["query"] for one in second["queries"]]
    assert [one["right"] for one in first["queries"]] != [one["right"] for one in second["queries"]]
    assert first["queries"][0]["distance_m"] == 0.0
    pictures = {path.name for path in folder.glob("*.jpg")}
    assert pictures == {
        one[key]
        for epoch in (first, second)
        for one in epoch["queries"]
        for key in ("query_picture", "prediction_picture")
    }
    assert max(read_image(folder / first["queries"][0]["query_picture"]).shape) <= 160
