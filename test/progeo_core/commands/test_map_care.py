import shutil

import pytest

from progeo_core.bags.writer import write_bag
from progeo_core.map.confidence_calibration import Calibration
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import read_records


def test_merge_prune_and_export(progeo, built, few_records, tmp_path):
    copy, merged = tmp_path / "copy.progeo", tmp_path / "merged.progeo"
    shutil.copy(built, copy)
    assert progeo("map", "merge", built, copy, "--out", merged).code == 0
    with PlaceMap.open(merged) as place_map:
        assert len(place_map) == 12
    again = progeo("map", "merge", built, copy, "--out", merged)
    assert again.code == 1
    assert f"{merged} exists already" in again.error

    done = progeo("map", "prune", merged, "--distance", "0.5")
    assert done.code == 0
    assert "redundant 6" in " ".join(done.out.split())
    with PlaceMap.open(merged) as place_map:
        assert len(place_map) == 6

    table = tmp_path / "places.csv"
    export = ("map", "export", merged, "--format", "csv", "--out", table)
    assert progeo(*export).code == 0
    assert f"{table} exists already: replace it with --force" in progeo(*export).error
    assert progeo(*export, "--force").code == 0
    assert len(read_records(table)) == 6
    kml = progeo("map", "export", merged, "--format", "kml", "--out", tmp_path / "a.kml")
    assert kml.code == 2
    assert "has no datum" in kml.error


def test_prune_states_the_range_of_its_options(progeo, built):
    done = progeo("map", "prune", built, "--similarity", "2")
    assert done.code == 2
    assert "--similarity" in done.error


@pytest.mark.slow
def test_calibrate_saves_a_fit_that_changes_the_confidence(
    progeo, campus_map, campus_loop, small_model, tmp_path
):
    queries = tmp_path / "drive"
    write_bag(queries, read_records(campus_loop / "records.csv").select(slice(1, None, 2)))
    path = tmp_path / "campus.progeo"
    shutil.copy(campus_map, path)
    done = progeo(
        "map", "calibrate", path, "--queries", queries, "--sequence", "--model", small_model
    )
    assert done.code == 0, done.err
    assert "36" in done.out
    assert done.out.count("calibration error") == 2
    with PlaceMap.open(path) as place_map:
        fitted = place_map.calibration()
    assert fitted is not None
    assert fitted != Calibration()


def test_calibrate_needs_enough_images(progeo, campus_map, campus_loop, small_model, tmp_path):
    lines = (campus_loop / "records.csv").read_text().splitlines()
    queries = tmp_path / "few.csv"
    queries.write_text("\n".join([lines[0], *(f"{campus_loop}/{line}" for line in lines[2:8])]))
    path = tmp_path / "campus.progeo"
    shutil.copy(campus_map, path)
    done = progeo("map", "calibrate", path, "--queries", queries, "--model", small_model)
    assert done.code == 1
    assert "6 images can be used, a calibration needs 20 or more" in done.error
