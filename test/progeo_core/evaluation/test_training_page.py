import dataclasses
import json

import numpy as np
import pytest

from progeo_core.errors import DataError, UsageError
from progeo_core.evaluation.training_page import read_training_run, write_training_page
from progeo_core.images.codec import encode_jpeg
from progeo_core.train.settings import TrainingSettings
from test.chromium import chromium_program, open_browser

QUERY = "queries/<b>@0@1@.jpg"


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a run of stage 2 with a test of two queries."""
    run = tmp_path / "2026-05-01_10-30-00"
    predictions = run / "predictions" / "queries"
    predictions.mkdir(parents=True)
    settings = dataclasses.asdict(TrainingSettings())
    settings["stage2"]["lr"] = 0.125
    about = {"schema": 1, "stage": "stage2", "command": [], "settings": settings}
    (run / "settings.json").write_text(json.dumps(about))
    rows = [
        {"epoch": n, "loss": 2.0 / (n + 1), "recall_1": 0.5 + 0.01 * n, "recall_5": 0.9}
        for n in range(12)
    ]
    (run / "history.json").write_text(json.dumps(rows))
    test = {"name": "queries", "recall_at": {"1": 0.5}, "queries": 2, "database": 9}
    (run / "recall.json").write_text(json.dumps({"schema": 1, "results": [test]}))
    (predictions / "predictions.csv").write_text(
        "query,rank,prediction,descriptor_distance,distance_m,right\n"
        f"{QUERY},1,database/a.jpg,0.1,3.0,1\n"
        "queries/c.jpg,1,database/a.jpg,0.1,99.0,0\nqueries/c.jpg,2,database/b.jpg,0.2,9.0,1\n"
    )
    for number in range(2):
        jpeg = encode_jpeg(np.full((40, 120, 3), 90 * number, np.uint8))
        (predictions / f"{number:06d}.jpg").write_bytes(jpeg)
    return run


@pytest.mark.slow  # all plots of a run are drawn
def test_the_page_has_figures_examples_and_what_was_set(folder):
    path = folder / "history.html"
    assert write_training_page(read_training_run(folder), path) == path.stat().st_size
    text = path.read_text("utf-8")
    assert "12 epochs. Best recall@1 61.0%, of epoch 11." in text
    assert "<tr><th>lr</th><td>0.125</td></tr>" in text
    assert "<b>@0" not in text
    wrong, right = text.index("queries/c.jpg: right at rank 2"), text.index("@1@.jpg: right at")
    assert wrong < right
    write_training_page(read_training_run(folder), path)


def test_what_is_no_run_and_what_is_not_ours_is_said(folder, tmp_path):
    with pytest.raises(DataError, match=r"settings\.json: cannot be read .*name the folder of a"):
        read_training_run(tmp_path)
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(UsageError, match="is no page of a run"):
        write_training_page(read_training_run(folder), tmp_path / "mine.html")
    (folder / "history.json").unlink()
    assert read_training_run(folder).history == []


@pytest.mark.slow  # a browser starts
def test_the_page_fits_a_phone_and_requests_nothing(folder):
    program = chromium_program()
    if program is None:
        pytest.skip("no Chromium is installed, which opens the pages: apt install chromium")
    write_training_page(read_training_run(folder), folder / "history.html")
    with open_browser(program) as page:
        page.open((folder / "history.html").as_uri(), 400, 800)
        assert page.run("document.documentElement.scrollWidth") == 400
        assert page.run("[...document.images].every(one => one.naturalWidth > 0)")
        assert (page.requests, page.problems) == ([], [])
