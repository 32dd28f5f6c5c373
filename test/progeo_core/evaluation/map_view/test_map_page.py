import json
import re

import numpy as np
import pytest

from progeo_core.errors import DataError, UsageError
from progeo_core.evaluation.map_view.map_page import write_map_page
from progeo_core.geo import Datum
from progeo_core.localization.find_places import find_places
from progeo_core.map.place_map import PlaceMap
from test.chromium import chromium_program, open_browser

pytestmark = pytest.mark.slow  # a browser starts

TILES = "http://127.0.0.1:9/{z}/{x}/{y}.png"
HOSTILE = "</script><img src=http://127.0.0.1:9/a.png onerror=alert(1)>.jpg"


@pytest.fixture(scope="module")
def page():
    """Return the page of a real browser."""
    program = chromium_program()
    if program is None:
        pytest.skip("no Chromium is installed, which opens the pages: apt install chromium")
    with open_browser(program) as one:
        yield one


@pytest.fixture
def site(make_map, make_places, unit_vectors):
    """Return a map with a datum: two passes, a gap, two places that look the same, times."""
    position = np.arange(60)[:, None] * [1.0, 0.3, 0.0]
    position[30:] += [30.0, 0.0, 0.0]
    vectors = unit_vectors(60)
    vectors[50] = vectors[10]
    places = make_places(60, position)._replace(
        traverse=["monday"] * 40 + ["tuesday"] * 20,
        stamp_ns=np.int64(1_780_000_000_000_000_000) + np.arange(60) * np.int64(1_000_000_000),
        image=[HOSTILE, *(f"image_{row}.jpg" for row in range(1, 60))],
    )
    return make_map("site", places, vectors, Datum(48.0, 11.0, 500.0))


def written(map_path, path, tiles=None):
    with PlaceMap.open(map_path) as place_map:
        return write_map_page(place_map, path, tiles)


def data_of(path):
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


def test_the_page_holds_what_the_map_knows(site, tmp_path):
    report = written(site, tmp_path / "site.html")
    assert (report.places, report.pictures, report.gaps) == (60, 0, 1)
    assert report.page_bytes == (tmp_path / "site.html").stat().st_size
    data = data_of(tmp_path / "site.html")
    assert data["images"][0] == HOSTILE
    assert data["passes"] == ["monday", "tuesday"]
    assert data["gaps"] == [[29, 30]]
    assert sorted(data["pairs"][0]) == [10, 50]


def test_a_page_is_replaced_and_nothing_else_is(site, tmp_path):
    path = tmp_path / "site.html"
    written(site, path)
    written(site, path)
    path.write_text("my own page")
    with pytest.raises(UsageError, match="is no page of a map: choose another name"):
        written(site, path)
    assert path.read_text() == "my own page"


@pytest.mark.parametrize(
    "tiles", ["tiles/{z}/{x}/{y}", "https://a.org/{z}.png", "file:///{z}{x}{y}"]
)
def test_addresses_of_tiles_are_checked_first(site, tmp_path, tiles):
    with pytest.raises(UsageError, match=r"give their address as https://HOST/\{z\}"):
        written(site, tmp_path / "site.html", tiles)


def test_tiles_need_a_datum(make_map, make_places, unit_vectors, tmp_path):
    path = make_map("local", make_places(5), unit_vectors(5))
    with pytest.raises(UsageError, match="the map has no datum"):
        written(path, tmp_path / "a.html", TILES)


def test_an_empty_map_has_no_page(make_map, make_places, unit_vectors, tmp_path):
    path = make_map("empty", make_places(0), unit_vectors(0))
    with pytest.raises(UsageError, match="holds no places"):
        written(path, tmp_path / "a.html")


def test_a_page_that_cannot_be_written_is_one_error(site, tmp_path):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises((UsageError, DataError), match=r"folder\.html"):
        written(site, tmp_path / "folder.html")
    with pytest.raises(UsageError, match="make it first"):
        written(site, tmp_path / "none" / "a.html")


def test_hover_click_zoom_and_filters_in_a_browser(site, tmp_path, page):
    written(site, tmp_path / "site.html")
    page.open((tmp_path / "site.html").as_uri())
    assert page.text("#lead") == "60 places · 2 passes · 1 camera"
    x, y = page.run("[toX(places.x[20]), toY(places.y[20])]")
    page.hover(x, y)
    assert "image_20.jpg" in page.text("#tip")
    assert "20.0 m east" in page.text("#tip")
    page.click(x, y)
    facts = page.text("#place")
    assert "monday" in facts
    assert "UTC" in facts
    assert "48.00" in facts
    before = page.run("eye.zoom")
    page.wheel(x, y, -400)
    assert page.run("eye.zoom") > 1.5 * before
    # What is below the mouse stays there.
    assert page.run("toX(places.x[20])") == pytest.approx(x, abs=2.0)
    page.drag((x, y), (x + 60, y + 40))
    assert page.run("toX(places.x[20])") == pytest.approx(x + 60, abs=3.0)
    page.run("document.querySelector('#pair_list button').click()")
    assert page.text("#place_name") in {"image_10.jpg", "image_50.jpg"}
    assert page.text("#gap_count") == "1"
    page.run("document.querySelector('#legend button').click()")
    assert page.run("isHidden(0) && !isHidden(45)")
    for name in page.run("Object.keys(views)"):
        page.run(f"by('colour').value = '{name}', colourBy('{name}')")
    # Neither the page nor the hostile name of an image in it asked for anything.
    assert page.requests == []
    assert page.problems == []


def test_places_found_by_words_are_offered(site, tmp_path, page, unit_vectors):
    with PlaceMap.open(site) as place_map:
        others = unit_vectors(40, seed=1)
        found = {"gate": find_places(place_map, unit_vectors(60)[20], others, 5)}
        found["</script> door " * 20] = find_places(place_map, others[0], others, 3)
        write_map_page(place_map, tmp_path / "site.html", found=found)
    page.open((tmp_path / "site.html").as_uri(), 400, 800)
    assert page.run("by('words').options.length") == 2
    page.run("document.querySelector('#found_list button').click()")
    assert page.text("#place_name") == "image_20.jpg"
    page.run("by('words').selectedIndex = 1, listFound()")
    assert page.run("by('found_list').children.length") == 3
    assert page.run("document.documentElement.scrollWidth") <= 400
    assert page.requests == page.problems == []


def test_a_window_that_changes_shows_all_places_unless_they_were_moved(site, tmp_path, page):
    written(site, tmp_path / "site.html")
    page.open((tmp_path / "site.html").as_uri(), 1280, 800)
    in_view = "[...places.x].every(x => toX(x) > 20 && toX(x) < width - 20)"
    page.resize(400, 800)
    assert page.run(in_view)
    page.run("zoomBy(20)")
    page.resize(1280, 800)
    assert not page.run(in_view)


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(site, tmp_path, page, width):
    written(site, tmp_path / "site.html")
    page.open((tmp_path / "site.html").as_uri(), width, 800)
    page.run("choose(10)")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("canvas.getBoundingClientRect().width") >= 0.6 * width


def test_tiles_are_requested_where_they_are_asked_for(site, tmp_path, page):
    written(site, tmp_path / "site.html", TILES)
    page.open((tmp_path / "site.html").as_uri())
    page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    # The page puts a latitude and longitude where the map puts the place.
    apart = page.run(
        "Math.max(...[0, 59].map(row => Math.hypot(...planOf(places.lat[row], places.lon[row])"
        ".map((one, axis) => one - [places.x[row], places.y[row]][axis]))))"
    )
    assert apart <= 0.01
    assert page.requests
    for address in page.requests:
        zoom, column, line = map(
            int, re.fullmatch(r"http://127\.0\.0\.1:9/(\d+)/(\d+)/(\d+)\.png", address).groups()
        )
        # The tile of the datum, or one of its neighbours.
        assert column / 2**zoom == pytest.approx((11.0 + 180.0) / 360.0, abs=8 / 2**zoom)
        assert line / 2**zoom == pytest.approx(0.34762, abs=8 / 2**zoom)
