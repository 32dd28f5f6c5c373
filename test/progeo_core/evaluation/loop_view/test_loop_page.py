import json
import re

import numpy as np
import pytest

from progeo_core.errors import DataError, UsageError
from progeo_core.evaluation.loop_view.loop_page import DriveView, LoopView, write_loop_page
from progeo_core.images.codec import encode_jpeg
from test.chromium import chromium_program, open_browser

HOSTILE = "</script><img src=http://127.0.0.1:9/a.png onerror=alert(1)>.jpg"
LOOPS = [
    LoopView(50, 10, 0.61, 22.5, 5, 120, 0.4, 0.1, True),
    LoopView(51, 11, 0.32, 19.0, 3, 6, None, 0.0, False),
]


@pytest.fixture(scope="module")
def drive():
    """Return a drive of two rounds, whose odometry drifts."""
    angle = np.linspace(0.0, 4.0 * np.pi, 80, endpoint=False)
    position = (
        10.0 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * np.arange(80)[:, None]
    )
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(position, axis=0), axis=1).cumsum()])
    pictures = [encode_jpeg(np.full((48, 64, 3), row, np.uint8)) for row in range(80)]
    names = [HOSTILE, *(f"/drive/{row}.jpg" for row in range(1, 80))]
    stamps = np.arange(1, 81) * 10**9
    return DriveView(position, stamps, np.zeros(80, np.int64), length, names, pictures)


@pytest.fixture(scope="module")
def written(drive, tmp_path_factory):
    path = tmp_path_factory.mktemp("loops") / "drive.html"
    assert write_loop_page(path, "drive", drive, LOOPS) == path.stat().st_size
    return path


def test_the_page_has_pictures_of_the_closures_only(written):
    text = written.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    data = json.loads(found[1])
    assert len(data["pictures"]) == 4
    assert data["lead"].startswith("2 loop closures between 80 keyframes, 1 of them")
    assert data["loops"][0]["driven_m"] == pytest.approx(63, abs=2)


def test_another_file_is_not_replaced(drive, tmp_path):
    path = tmp_path / "mine.html"
    path.write_text("my own page")
    with pytest.raises(UsageError, match="is no page of loops: choose another name"):
        write_loop_page(path, "drive", drive, LOOPS)
    path.unlink()
    with pytest.raises((UsageError, DataError), match="does not exist"):
        write_loop_page(tmp_path / "none" / "a.html", "drive", drive, LOOPS)


@pytest.mark.slow  # a browser starts
def test_a_tap_on_a_line_shows_both_pictures(written):
    program = chromium_program()
    if program is None:
        pytest.skip("no Chromium is installed, which opens the pages: apt install chromium")
    with open_browser(program) as page:
        page.open(written.as_uri(), 1280, 1000)
        assert page.text("#closure_name") == "50.0 s is where 10.0 s was"
        x, y = page.run(
            "(box => [box.left + box.width / 2, box.top + box.height / 2])"
            "(document.querySelectorAll('.target')[1].getBoundingClientRect())"
        )
        page.click(x, y)
        assert page.text("#closure_name") == "51.0 s is where 11.0 s was"
        assert "share little" in page.text("#closure_lead")
        assert "6 that one rigid scene explains" in page.text("#facts")
        assert page.run(
            "[...document.querySelectorAll('#views img')].every(one => one.naturalWidth)"
        )
        page.run("by('order').value = 'inliers', by('order').onchange()")
        assert page.text("#table tbody tr").startswith("51.0 s")
        page.open(written.as_uri(), 400, 800)
        assert page.run("document.documentElement.scrollWidth") == 400
        assert (page.requests, page.problems) == ([], [])
