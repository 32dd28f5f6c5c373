"""Sharing maps by the command line, and what it says of bad use."""

import builtins

import pytest

from progeo_core.map.place_map import PlaceMap
from test.fleet_places import MODEL, PLACES, SESSION, some_places


@pytest.fixture
def yard(tmp_path):
    given = some_places()
    with PlaceMap.create(tmp_path / "yard.progeo", MODEL, SESSION.datum) as place_map:
        place_map.append(given.places, given.descriptors)
    return tmp_path / "yard.progeo"


@pytest.mark.slow
def test_a_map_goes_up_once_and_a_region_comes_down(progeo, yard, tmp_path):
    uri, pulled = tmp_path / "fleet", tmp_path / "pulled.progeo"
    done = progeo("fleet", "push", yard, uri, "--robot", "ada")
    assert (done.code, f"added {PLACES}" in " ".join(done.out.split())) == (0, True)
    assert "stamps in the future or before 2000" in done.err
    again = progeo("fleet", "push", yard, uri, "--robot", "ada")
    assert "added 0 in the store already 60" in " ".join(again.out.split())
    done = progeo("fleet", "pull", uri, pulled, "--near", "48.1,11.5", "--radius", "105")
    assert done.code == 0, done.err
    with PlaceMap.open(pulled) as place_map:
        assert len(place_map) == 11
        assert set(place_map.places().traverse) == {"ada/yard/lap"}
    assert pulled.with_suffix(".faiss").exists()
    empty = progeo("fleet", "pull", uri, tmp_path / "no.progeo", "--box", "10,10,11,11")
    assert (empty.code, "nearest session, 'ada/yard'" in empty.error) == (1, True)
    missing = progeo("fleet", "pull", tmp_path / "none", tmp_path / "no.progeo", "--box", "1,1,2,2")
    assert (missing.code, "no fleet's store; make one" in missing.error) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--near", "48,11"], "by --near LAT,LON with --radius M"),
        (["--near", "48", "--radius", "5"], "--near '48': give 2 degrees"),
        (["--box", "1,2,3"], "--box '1,2,3': give 4 degrees"),
        (["--near", "98,11", "--radius", "5"], "latitude 98.0"),
        ([], "name the region"),
    ],
)
def test_a_region_that_is_none_is_refused_before_anything_is_loaded(progeo, arguments, said):
    done = progeo("fleet", "pull", "fleet", "yard.progeo", *arguments)
    assert (done.code, said in done.error) == (2, True)


def test_without_lancedb_the_extra_is_named(progeo, yard, tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "lancedb":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    done = progeo("fleet", "push", yard, tmp_path / "fleet")
    assert (done.code, "pip install 'progeo_ros[fleet]'" in done.error) == (1, True)
