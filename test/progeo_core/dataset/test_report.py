import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from progeo_core.dataset.names import image_names
from progeo_core.dataset.plan import DatasetSettings, Fate, Plan
from progeo_core.dataset.report import report_dataset, write_left_out, write_report
from progeo_core.geo import Datum
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records

FATES = (Fate.TRAIN,) * 4 + (Fate.TEST_DATABASE, Fate.TEST_QUERIES, Fate.BORDER, Fate.UNREADABLE)
UNREADABLE = {7: "7.jpg: the image is truncated after 900 bytes"}


@pytest.fixture
def source(corridor):
    """Return eight corridor images, and two photos without a position."""
    unplaced = ("a.jpg: no GPS position", "b: c.jpg: no GPS position")
    return FileSource(read_records(corridor / "ref.csv").select(slice(len(FATES))), unplaced)


def report_of(source, datum=None):
    names = image_names(source.records, datum)
    plan = Plan(FATES, {"test": False})
    return report_dataset(Path("site"), source, plan, names, UNREADABLE)


def test_every_image_is_counted_once(source):
    report = report_of(source)
    assert report.images == {"train": 4, "test/database": 1, "test/queries": 1}
    assert report.left_out == {"between two areas": 1, "no position": 2, "unreadable": 1}
    assert sum(report.images.values()) + sum(report.left_out.values()) == len(FATES) + 2
    assert report.skipped == (UNREADABLE[7],)
    assert report.positions == "local"


def test_positions_are_those_of_the_names_written(source):
    assert report_of(source, Datum(48.0, 11.0)).positions == "utm"


def test_the_document_has_the_documented_keys_and_what_made_it(source, tmp_path):
    report, settings = report_of(source), DatasetSettings(cell_m=3.0, seed=7)
    write_report(tmp_path, report, settings)
    document = json.loads((tmp_path / "dataset.json").read_text(encoding="utf-8"))
    assert set(document) == {
        "schema", "dataset", "images", "left_out", "queries_by_pass", "positions", "places",
        "classes", "groups", "class_settings", "train_with", "settings", "versions",
    }  # fmt: skip
    assert report.to_json().items() <= document.items()
    assert document["settings"]["cell_m"] == 3.0
    assert document["settings"]["seed"] == 7
    assert np.isfinite(document["places"])


def test_images_left_out_are_listed_with_their_reason(source, tmp_path):
    write_left_out(tmp_path, source, Plan(FATES, {}), UNREADABLE)
    with (tmp_path / "left_out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["traverse"], row["why"]) for row in rows[:2]] == [
        ("ref", "between two areas"),
        ("ref", UNREADABLE[7]),
    ]
    assert [row["image"] for row in rows[:2]] == [str(path) for path in source.records.images[6:]]
    assert (rows[2]["image"], rows[2]["why"]) == ("a.jpg", "no GPS position")
    assert len(rows) == 4


def test_names_of_any_bytes_and_formulas_are_written_as_text(source, tmp_path):
    latin, formula = os.fsdecode(b"caf\xe9.jpg"), "=HYPERLINK(1)"
    odd = FileSource(source.records, (f"{latin}: no GPS position", f"{formula}: no GPS position"))
    write_left_out(tmp_path, odd, Plan(FATES, {}), UNREADABLE)
    with (tmp_path / "left_out.csv").open(newline="", encoding="utf-8") as file:
        images = [row["image"] for row in csv.DictReader(file)]
    assert images[2:] == [r"caf\udce9.jpg", f"'{formula}"]
