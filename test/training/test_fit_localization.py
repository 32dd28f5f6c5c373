"""The script that fits the localizer's constants."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from progeo_core.localization import fitted_constants

TRAINING = Path(__file__).resolve().parents[2] / "training"


@pytest.fixture
def script(monkeypatch):
    """Return the script as a module."""
    monkeypatch.syspath_prepend(str(TRAINING))
    import fit_localization

    return fit_localization


class Pool:
    """Pool that answers as if a constant were best at a value of its own at each site."""

    def __init__(self, best):
        self.best = best

    def submit(self, _, scene, mode, trials):
        from localization_figures import Figures

        job = type("Job", (), {})()
        costs = [abs(one.single.gap_slope - self.best[scene]) / 100.0 for one in trials]
        job.result = lambda: [
            Figures(10, 0, 1.0, 10, 0, 0, 1.0 - cost, 0.0, 0.9, 0.9, 1.0, 0.0, 1.0)
            for cost in costs
        ]
        return job


@pytest.fixture
def bench(script):
    from localization_scenes import Pass, Scene

    nothing = Pass((), np.zeros((0, 3)), np.zeros(0), ())
    scenes = [Scene(name, name[0], nothing, None, (), 2.5) for name in ("a1", "a2", "b")]
    return script.Bench(scenes, Pool([30.0, 30.0, 10.0]))


def test_a_site_that_is_left_out_has_no_say(script, bench):
    start = script.Constants()
    found = script.fit(bench, dict.fromkeys([None, "a", "b"], start), "single")
    everywhere, without_a, without_b = found[None], found["a"], found["b"]
    assert (without_a.single.gap_slope, without_b.single.gap_slope) == (
        pytest.approx(start.single.gap_slope / 1.5, rel=0.01),
        pytest.approx(start.single.gap_slope * 1.5, rel=0.01),
    )
    # What one site gains the other loses.
    assert everywhere == start
    assert without_a.single._replace(gap_slope=start.single.gap_slope) == start.single


def test_a_second_round_goes_on_where_the_first_came_to(script, bench):
    start = script.Constants()
    fitted = script.fit_all(bench, start, ["sequence", "single"], 2)
    assert set(fitted) == {None, "a", "b"}
    # The best of the other sites are 10 and 30, from 20.
    assert fitted["a"].single.gap_slope < start.single.gap_slope / 2.0
    assert fitted["b"].single.gap_slope == pytest.approx(30.0)


def test_groups_that_are_not_fitted_are_those_of_the_last_fit_without_the_site(script):
    start = script.Constants()
    unseen = start._replace(
        sequence=start.sequence._replace(level_slope=0.5),
        verification=start.verification._replace(slope=1.0),
    )
    steeper = start._replace(verification=start.verification._replace(slope=9.0))
    fitted = dict.fromkeys([None, "tower", "yard"], steeper)
    found = script.with_others(fitted, {None: start, "tower": unseen}, ["verification"])
    assert found["tower"] == unseen._replace(verification=steeper.verification)
    assert found[None] == found["yard"] == steeper


def test_constants_are_those_that_were_fitted(script):
    summary = json.loads((TRAINING / "fitted_localization.json").read_text())
    today = script.Constants()
    assert {group: values._asdict() for group, values in today._asdict().items()} == summary[
        "constants"
    ]
    assert script.as_json(summary) == (TRAINING / "fitted_localization.json").read_text()
    source = Path(fitted_constants.__file__).read_text()
    assert script.written(source, today) == source
    changed = script.written(source, today._replace(single=today.single._replace(gap_slope=12.3)))
    assert "    gap_slope: float = 12.3\n" in changed
    sites = {"corridor", "campus", "loop", "office", "tower"}
    assert set(summary["left_out"]) == sites
    unseen = [row for row in summary["scenes"] if row["left_out"]]
    assert len(unseen) == len(summary["scenes"]) - len(unseen)


def test_constants_of_the_last_fit_are_those_without_each_site(script):
    known = script.known_constants({"tower", "yard"})
    summary = json.loads((TRAINING / "fitted_localization.json").read_text())
    assert known.keys() == {None, "tower"}
    assert known[None] == script.Constants()
    assert known["tower"].verification._asdict() == summary["left_out"]["tower"]["verification"]


@pytest.mark.slow
def test_scenes_are_measured_with_their_images_on_and_off_the_map(
    script, campus_loop, corridor_few, small_model, capsys, tmp_path, monkeypatch
):
    campus = str(campus_loop / "records.csv")
    arguments = ["--scene", "campus", campus, campus, "9"]
    arguments += ["--scene", "corridor", *map(str, corridor_few), "2.5"]
    arguments += ["--model", str(small_model), "--no-fit", "--workers", "1"]
    arguments += ["--cache", str(tmp_path / "kept")]
    monkeypatch.setattr(sys, "argv", ["fit_localization.py"])
    script.main(arguments)
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if line.startswith("campus")]
    # Single images, and sequences without times, with times, with stops, and with two kinds of
    # odometry, verified and not, with the images of the corridor off the map.
    assert len(rows) == 12
    assert all("0/28" in row or "1/28" in row for row in rows)
    first = (tmp_path / "kept" / "inliers.json").read_text()
    script.main(arguments)
    assert (tmp_path / "kept" / "inliers.json").read_text() == first
    assert capsys.readouterr().out == printed


@pytest.fixture
def corridor_few(corridor, tmp_path):
    """Return tables of every fourth image of the corridor's two passes."""
    tables = []
    for name in ("ref", "query"):
        lines = (corridor / f"{name}.csv").read_text().splitlines()
        rows = [f"{corridor}/{line}" for line in lines[1::4]]
        tables.append(tmp_path / f"{name}.csv")
        tables[-1].write_text("\n".join([lines[0], *rows]) + "\n")
    return tables
