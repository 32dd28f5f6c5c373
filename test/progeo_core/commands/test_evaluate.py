import csv
import json
import shutil

import numpy as np
import pytest

from progeo_core.bags.writer import write_bag
from progeo_core.commands.evaluate import warn_of_wide_radius
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import read_records


@pytest.fixture
def odd_frames(campus_loop, tmp_path):
    """Return a records.csv of every sixth odd campus frame."""
    lines = (campus_loop / "records.csv").read_text().splitlines()
    rows = [f"{campus_loop}/{line}" for line in lines[2::6]]
    path = tmp_path / "queries.csv"
    path.write_text("\n".join([lines[0], *rows]) + "\n")
    return path


@pytest.mark.slow
def test_figures_in_a_table_and_in_a_file(progeo, campus_map, odd_frames, small_model, tmp_path):
    out = tmp_path / "figures.json"
    done = progeo(
        "evaluate", "--map", campus_map, "--queries", odd_frames, "--radius", "5", "--sequence",
        "--json", out, "--model", small_model,
    )  # fmt: skip
    assert done.code == 0, done.err
    document = json.loads(out.read_text())
    assert document["schema"] == 1
    assert document["queries"] == 12
    assert document["database"] == 36
    assert document["protocol"]["radius_m"] == 5.0
    assert set(document["recall_at"]) == {"1", "5", "10", "20"}
    assert set(document["position_error_m"]) == {"median", "p90"}
    assert set(document["recall_at_precision"]) == {"1.00", "0.99"}
    for key in ("auc_pr", "accepted", "false_accepts", "off_map_accepts", "calibration"):
        assert key in document
        assert key in document["sequence"]
    assert document["skipped"] == []
    assert document["model"]["name"] == "small"
    assert document["versions"]["numpy"]
    assert document["recall_at"]["1"] >= 0.75
    assert f"{document['recall_at']['1']:.3f}" in done.out
    assert "sequence" in done.out
    assert "12 queries" in done.out


def test_json_on_stdout_is_all_there_is(progeo, campus_map, odd_frames, small_model, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    odd_frames.write_text(odd_frames.read_text() + f"{broken},0,0,0\n")
    command = ["evaluate", "--map", campus_map, "--queries", odd_frames, "--model", small_model]
    done = progeo(*command, "--json", "-")
    document = json.loads(done.out)
    assert document["queries"] == 12
    with PlaceMap.open(campus_map) as place_map:
        position = place_map.places().position
    apart = np.linalg.norm(position[:, None] - position, axis=-1) + np.diag(
        [np.inf] * len(position)
    )
    assert document["protocol"]["radius_m"] == pytest.approx(1.5 * np.median(apart.min(axis=1)))
    assert "sequence" not in document
    (skipped,) = document["skipped"]
    assert str(broken) in skipped
    assert f"progeo: skipped: {broken}" in done.err


@pytest.mark.slow
def test_a_folder_of_queries_gets_the_report_that_a_bag_gets(
    progeo, campus_map, campus_loop, small_model, tmp_path
):
    queries = tmp_path / "site" / "queries"
    queries.mkdir(parents=True)
    for line in (campus_loop / "records.csv").read_text().splitlines()[2:14:2]:
        image, x_m, y_m = line.split(",")[:3]
        shutil.copy(campus_loop / image, queries / f"@{x_m}@{y_m}@{'@' * 10}.png")
    report = tmp_path / "report"
    command = [
        "evaluate", "--map", campus_map, "--queries", tmp_path / "site", "--radius", 5,
        "--report", report, "--sequence", "--model", small_model,
    ]  # fmt: skip
    done = progeo(*command)
    assert done.code == 0, done.err
    assert "report.html" in done.out
    summary = json.loads((report / "summary.json").read_text())
    with (report / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * summary["answered"] == 12
    assert "Evaluation of site" in (report / "report.html").read_text(encoding="utf-8")
    again = progeo(*command)
    assert again.code == 2
    assert "answers.csv exists already: replace it with --force" in again.error


def test_degrees_need_a_map_with_datum(progeo, campus_map, campus_loop, small_model, tmp_path):
    queries = tmp_path / "degrees.csv"
    image = campus_loop / "dataset" / "image_5.png"
    queries.write_text(f"image,lat_deg,lon_deg\n{image},48,11\n")
    done = progeo("evaluate", "--map", campus_map, "--queries", queries, "--model", small_model)
    assert done.code == 2
    assert f"{campus_map}: the ground truth is latitude and longitude, but" in done.error


def test_unreadable_queries_and_outputs_are_failed_runs(
    progeo, campus_map, odd_frames, small_model, tmp_path
):
    done = progeo("evaluate", "--map", campus_map, "--queries", tmp_path / "none.csv")
    assert done.code == 1
    assert f"{tmp_path / 'none.csv'}: there is nothing here" in done.error
    command = ["evaluate", "--map", campus_map, "--queries", odd_frames, "--model", small_model]
    # Before any work, as of loading a model.
    wasted = ("--model", "no-such-model", "--json", tmp_path / "no" / "out.json")
    done = progeo(*command, *wasted)
    assert done.code == 1
    assert "out.json: cannot be written (there is no folder" in done.error
    done = progeo(*command, "--radius", "-1")
    assert done.code == 2
    assert "--radius" in done.error


def test_verification_makes_uncertain_images_sure(
    progeo, campus_map, odd_frames, small_model, tmp_path
):
    accepted = []
    for budget_ms in ("0", "1000"):
        out = tmp_path / f"{budget_ms}.json"
        done = progeo(
            "evaluate", "--map", campus_map, "--queries", odd_frames, "--radius", "9",
            "--verification-ms", budget_ms, "--json", out, "--model", small_model,
        )  # fmt: skip
        assert done.code == 0, done.err
        document = json.loads(out.read_text())
        assert document["false_accepts"] == 0
        accepted.append(document["accepted"])
    assert accepted[1] > accepted[0]


@pytest.mark.slow
def test_full_poses_against_a_map_with_landmarks(progeo, office, small_model, tmp_path):
    """Build, evaluate and localize with a calibration, as a user does."""
    lab, camera = tmp_path / "lab.progeo", office / "camera_info.yaml"
    model = ("--model", small_model)
    built = progeo(
        "map", "build", lab, "--records", office / "map.csv", "--camera-info", camera, *model
    )
    assert built.code == 0, built.err
    summary = json.loads(progeo("map", "info", lab, "--json").out)
    assert summary["views"]["with_landmarks"] == 18

    out = tmp_path / "figures.json"
    queries = office / "query.csv"
    done = progeo(
        "evaluate", "--map", lab, "--queries", queries, "--camera-info", camera, "--json", out,
        *model,
    )  # fmt: skip
    assert done.code == 0, done.err
    figures = json.loads(out.read_text())["metric_pose"]
    assert figures["answered"] == 1.0
    assert figures["within"]["0.10m_5deg"] == 1.0
    assert figures["wrong_beyond_0.5m"] == 0.0
    assert f"{figures['position_error_m']['median']:.3f} m" in done.out

    image = office / "images" / "0355.jpg"
    located = progeo("localize", lab, image, "--camera-info", camera, "--json", *model)
    (answer,) = json.loads(located.out)["answers"]
    assert answer["method"] == "metric"
    assert answer["accepted"]
    assert "landmarks of" in answer["reason"]
    assert answer["camera_pose"]["position"] == answer["position"]
    without = progeo("localize", lab, image, "--json", *model)
    (answer,) = json.loads(without.out)["answers"]
    assert answer["method"] == "place"
    assert answer["camera_pose"] is None


def test_a_radius_as_wide_as_the_map_is_warned_of(capsys):
    warn_of_wide_radius(25.0, 0.5)
    assert capsys.readouterr().err == ""
    warn_of_wide_radius(25.0, 0.97)
    assert "warning: 97% of the places lie within 25 m of a query" in capsys.readouterr().err


def test_odometry_is_a_topic_of_a_bag_and_moves_a_sequence(
    progeo, campus_map, campus_loop, odd_frames, tmp_path
):
    bag = tmp_path / "drive"
    write_bag(bag, read_records(campus_loop / "records.csv").select(slice(1, 3)))
    command = ["evaluate", "--map", campus_map, "--queries"]
    done = progeo(*command, bag, "--sequence", "--odom-topic", "/none")
    assert done.code == 1
    assert done.error.endswith("no topic '/none'; topics with poses: /ground_truth/pose")
    done = progeo(*command, bag, "--odom-topic", "/ground_truth/pose")
    assert done.code == 2
    assert done.error.endswith("--odom-topic moves a sequence: give --sequence, too")
    done = progeo(*command, odd_frames, "--sequence", "--odom-topic", "/odom")
    assert done.code == 2
    assert "a table has odometry in its columns odom_x_m, odom_y_m" in done.error
