import dataclasses

import numpy as np
import pytest

from progeo_core.evaluation.findings import find_problems
from test.replays import replay_of

LINE = np.column_stack([np.arange(60.0), np.zeros(60)])
SURE, UNSURE = np.full(60, 0.95), np.full(60, 0.2)


def titles(run):
    return [one.title for one in find_problems(run)]


def shifted(rows, away):
    """Return answers that are right but for some rows, which are so far off."""
    answers = LINE.copy()
    answers[rows, 0] += away
    return answers


def test_a_good_run_has_nothing_to_tune(tmp_path):
    assert find_problems(replay_of(LINE, LINE, SURE, tmp_path)) == []


def test_images_of_another_city_are_said_to_be_alone(tmp_path):
    run = replay_of(LINE + 50_000.0, LINE, UNSURE, tmp_path, places=LINE)
    (found,) = find_problems(run)
    assert found.title == "The images are not of this map"
    assert "km from the nearest place" in found.text
    assert found.fixes[0].startswith("progeo map info ")


def test_gaps_name_the_stretch_and_the_command_that_fills_them(tmp_path):
    run = replay_of(LINE, LINE, SURE, tmp_path, places=LINE[:30])
    (found,) = [one for one in find_problems(run) if one.title == "The map has gaps here"]
    assert "24 of 60 images are up to 30.00 m" in found.text
    assert "at 4 to 6 s" in found.text
    assert "24 of them were accepted" in found.text
    assert "--append --bag" in found.fixes[0]


def test_places_that_look_alike_are_told_from_other_light(tmp_path):
    rows = np.arange(20, 30)
    answers = shifted(rows, 25.0)
    alike = replay_of(LINE, answers, SURE, tmp_path)
    assert titles(alike) == ["Other places look alike", "The threshold is too low here"]
    dark = replay_of(LINE, answers, UNSURE, tmp_path)
    changed = tuple(
        one._replace(matches=(one.matches[0]._replace(similarity=0.1),)) if row in rows else one
        for row, one in enumerate(dark.localizations)
    )
    dark = dataclasses.replace(dark, localizations=changed)
    assert titles(dark)[0] == "The map shows these places in other light, or from another side"


@pytest.mark.parametrize(
    ("places", "away", "title"),
    [
        (LINE[::10], 0.0, "The radius is finer than the map"),
        (LINE[:3], 0.0, "The radius is as wide as the map"),
        (LINE, 2.4, "Answers miss the radius by little"),
    ],
)
def test_radii_that_do_not_fit(tmp_path, places, away, title):
    run = replay_of(LINE, LINE + np.array([away, 0.0]), SURE, tmp_path, places=places)
    (found,) = [one for one in find_problems(run) if one.title == title]
    assert found.fixes[0].startswith("--radius ")
    assert float(found.fixes[0].split()[1]) > 0.0


def test_right_answers_that_nobody_may_use_are_a_threshold(tmp_path):
    (found,) = find_problems(replay_of(LINE, LINE, UNSURE, tmp_path))
    assert found.title == "The threshold is higher than it needs to be here"
    assert "map calibrate" in found.fixes[0]
