import json
import logging
from pathlib import Path

import pytest
import torch

from progeo_core.images.codec import read_image
from progeo_core.train.journal import Journal
from progeo_core.train.processes import Processes

MAIN, OTHER = (Processes(rank, 2, torch.device("cpu")) for rank in (0, 1))


def test_a_resumed_history_goes_on(tmp_path: Path) -> None:
    with Journal(tmp_path, MAIN, [{"epoch": 0, "loss": 3.0}]) as journal:
        journal.record(1, loss=2.0, recall_1=0.5)
    rows = [{"epoch": 0, "loss": 3.0}, {"epoch": 1, "loss": 2.0, "recall_1": 0.5}]
    assert journal.history == json.loads((tmp_path / "history.json").read_text()) == rows
    assert list(tmp_path.glob("events.out.tfevents*"))


def test_the_history_is_drawn_even_of_a_run_that_failed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, MAIN)
    journal.record(0, loss=1.0)
    with pytest.raises(ZeroDivisionError), journal:
        1 / 0  # noqa: B018
    assert read_image(tmp_path / "history.png").std() > 0


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    with Journal(tmp_path, OTHER) as journal:
        journal.record(0, loss=1.0)
        journal.skip(("a.jpg: the image is empty",))
    assert journal.history == [{"epoch": 0, "loss": 1.0}]
    assert list(tmp_path.iterdir()) == []


def test_an_image_is_listed_once_however_often_it_is_drawn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Journal(tmp_path, MAIN) as journal:
        for images in ((), ("a.jpg: empty",), ("a.jpg: empty", "b.jpg: empty"), ("b.jpg: empty",)):
            journal.skip(images)
    assert (tmp_path / "skipped.txt").read_text() == "a.jpg: empty\nb.jpg: empty\n"
    assert [record.getMessage() for record in caplog.records] == [
        "1 images skipped so far, last: a.jpg: empty",
        "2 images skipped so far, last: b.jpg: empty",
    ]


def test_a_bar_shows_counts_and_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Journal(tmp_path, MAIN) as journal, journal.bar("stage 2, epoch 3", 64) as bar:
        bar.advance(32, 1.25, 1e-5)
        bar.advance(32)
    shown = capsys.readouterr().out
    assert "stage 2, epoch 3" in shown
    assert "64/64" in shown
    assert "images/s" in shown
