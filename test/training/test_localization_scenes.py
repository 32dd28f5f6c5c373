"""The scenes that the localizer's constants are fitted to."""

from pathlib import Path

import numpy as np
import pytest

TRAINING = Path(__file__).resolve().parents[2] / "training"


@pytest.fixture
def scenes(monkeypatch):
    """Return the module."""
    monkeypatch.syspath_prepend(str(TRAINING))
    import localization_scenes

    return localization_scenes


def test_what_ships_makes_scenes_on_and_off_the_map(scenes):
    named = {scene.name: scene for scene in scenes.read_scenes(None)}
    assert {scene.site for scene in named.values()} == {"corridor", "campus"}
    half = named["corridor, first half"]
    assert len(half.database.shots) == 56
    assert len(half.queries.shots) == 111
    dark, light = named["corridor, dark"].queries, named["corridor"].queries
    assert [shot.path for shot in dark.shots] == [shot.path for shot in light.shots]
    assert [shot.seed for shot in dark.shots] == list(range(111))
    assert named["corridor, others"].queries is None
    assert "campus" in str(named["corridor, others"].elsewhere[0].shots[0].path)


def test_backward_is_the_same_drive_the_other_way(scenes):
    named = {scene.name: scene for scene in scenes.read_scenes(None)}
    there, back = named["corridor"].queries, named["corridor, backward"].queries
    assert there.shots[::-1] == back.shots
    np.testing.assert_array_equal(there.position[::-1], back.position)


def test_a_robot_that_is_carried_off_is_judged_where_it_is_put_down(scenes):
    whole = {scene.name: scene for scene in scenes.read_scenes(None)}["corridor"].queries
    carried = whole.carried_off(12.5)
    assert len(set(carried.clip)) == 50
    assert carried.judged.sum() == 50 * 5
    rows = np.array([whole.shots.index(shot) for shot in carried.shots]).reshape(50, 25)
    jump = rows[:, 20] - rows[:, 19]
    assert (np.abs(jump) > 5).all()
    steps = np.diff(rows, axis=1)
    assert (np.delete(steps, 19, axis=1) == 1).all()
    # All of a drive without such a start is judged, and tried; of jumps, those in the middle are.
    assert whole.judged.all()
    middle, same = (
        scenes.excerpt(scenes.Scene("", "", whole, asked, (), 2.5)).queries
        for asked in (carried, whole)
    )
    assert middle.judged.sum() == len(set(middle.clip)) * 5 == 30
    assert same is whole


def test_floors_that_are_not_mapped_are_off_the_map(scenes, tmp_path):
    rows = [f"{clip}{frame},{clip},{clip[0]},{frame}" for clip in "abcde" for frame in range(4)]
    (tmp_path / "records.csv").write_text("\n".join(["image,video,floor,frame", *rows]))
    tower = scenes._tower(tmp_path)
    mapped = {shot.path.name for shot in tower.database.shots}
    assert mapped == {f"{clip}{frame}" for clip in "ace" for frame in (0, 2)}
    # Every fourth clip is asked, the first of each.
    assert [shot.path.name for shot in tower.queries.shots] == ["a1", "a3"]
    assert {shot.path.name[0] for shot in tower.elsewhere[0].shots} == {"b"}
    assert np.ptp(tower.database.position[:, 0]) == pytest.approx(4000.0)


def test_own_scenes_are_off_each_others_maps(scenes, corridor, campus_loop):
    campus, first, second = (
        str(path)
        for path in (campus_loop / "records.csv", corridor / "ref.csv", corridor / "query.csv")
    )
    yard, hall = scenes.given_scenes([("yard", campus, campus, "9"), ("hall", first, second, "2")])
    # A table that is map and pass at once is shared out by turns.
    assert len(yard.database.shots) + len(yard.queries.shots) == 72
    assert yard.elsewhere == (hall.queries,)
    assert (hall.radius_m, hall.site) == (2.0, "hall")
