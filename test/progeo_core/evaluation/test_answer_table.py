import csv
import json

import numpy as np
import pytest

from progeo_core.evaluation.answer_table import AnswerRow, answer_rows, write_answers


@pytest.fixture(scope="module")
def files(run, tmp_path_factory):
    """Return the table and the lines of a replay with both runs."""
    folder = tmp_path_factory.mktemp("answers")
    write_answers(answer_rows(run), folder / "answers.csv", folder / "answers.jsonl")
    return folder / "answers.csv", folder / "answers.jsonl"


def test_both_files_have_every_answer_of_both_runs(run, files):
    with files[0].open(newline="") as file:
        table = list(csv.DictReader(file))
    lines = [json.loads(line) for line in files[1].read_text().splitlines()]
    assert tuple(table[0]) == AnswerRow._fields == tuple(lines[0])
    assert len(table) == len(lines) == 2 * run.answered
    assert [one["run"] for one in table] == ["single image"] * 18 + ["sequence"] * 18
    assert [one["image"] for one in table] == [one["image"] for one in lines]


def test_errors_and_decisions_are_those_of_the_report(run, files):
    lines = [json.loads(line) for line in files[1].read_text().splitlines()]
    for name, figures in run.evaluation.runs.items():
        rows = [line for line in lines if line["run"] == name and line["error_m"] is not None]
        np.testing.assert_allclose([one["error_m"] for one in rows], figures.error_m, atol=1e-4)
        assert [one["accepted"] for one in rows] == figures.accepted.tolist()
        assert [one["right"] for one in rows] == figures.right.tolist()
        away = [
            np.hypot(one["x_m"] - one["true_x_m"], one["y_m"] - one["true_y_m"]) for one in rows
        ]
        np.testing.assert_allclose(away, figures.error_m, atol=1e-3)
    assert all(line["matches"][0]["place_id"] > 0 for line in lines)
    assert {line["lat_deg"] for line in lines} == {None}
    assert all((line["latency_ms"] is None) == (line["run"] == "single image") for line in lines)


def test_rotations_of_full_poses_count_in_space(office_run):
    rows = [row for row in answer_rows(office_run) if row.run == "sequence"]
    errors = office_run.poses.full.rotation_deg
    full = [row.method == "metric" for row in rows]
    assert any(full)
    np.testing.assert_allclose(
        np.array([row.error_deg for row in rows if row.method == "metric"], np.float64),
        errors[full],
        atol=1e-3,
    )


def test_a_spreadsheet_runs_no_cell(run):
    row = answer_rows(run)[0]._replace(image="=HYPERLINK(1)", x_m=-2.5)
    assert row.to_cells()[0] == "'=HYPERLINK(1)"
    assert row.to_cells()[AnswerRow._fields.index("x_m")] == -2.5
