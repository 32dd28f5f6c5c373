import shutil

from progeo_core.map.place_map import PlaceMap


def test_view_writes_a_page_beside_the_map(progeo, campus_map, tmp_path):
    path = tmp_path / "campus.progeo"
    shutil.copy(campus_map, path)
    done = progeo("map", "view", path)
    assert done.code == 0, done.err
    page = tmp_path / "campus.html"
    assert f"{page}, " in done.out
    with PlaceMap.open(path) as place_map:
        assert f"{len(place_map)} of them with a picture" in done.out
    assert b"data:image" not in page.read_bytes()[:3000]


def test_view_writes_where_it_is_told(progeo, campus_map, tmp_path):
    assert progeo("map", "view", campus_map, "--out", tmp_path / "a.html").code == 0
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_view_replaces_no_other_file(progeo, campus_map, tmp_path):
    (tmp_path / "a.html").write_text("mine")
    done = progeo("map", "view", campus_map, "--out", tmp_path / "a.html")
    assert done.code == 2
    assert "choose another name" in done.error


def test_view_of_a_missing_map_is_one_line(progeo, tmp_path):
    done = progeo("map", "view", tmp_path / "none.progeo")
    assert done.code == 1
    assert "none.progeo" in done.error
    assert not (tmp_path / "none.html").exists()
