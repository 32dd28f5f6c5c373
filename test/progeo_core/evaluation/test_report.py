from html import unescape

import numpy as np
import pytest

from progeo_core.evaluation.answer_table import answer_rows
from progeo_core.evaluation.report import MatchView, write_report
from progeo_core.images.codec import encode_jpeg

pytestmark = pytest.mark.slow  # a drive is answered first


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    """Return the page of the replay with one right and one wrong answer."""
    jpeg = encode_jpeg(np.zeros((32, 32, 3), np.uint8))
    best = MatchView(jpeg, "place <7>", True, "0.10 m off <b>", "confidence 0.9")
    worst = MatchView(jpeg, "", False, "9 m off", "confidence 0.1")
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, run, answer_rows(run), [best], [worst])
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_else(page):
    assert "http:" not in page
    assert "https:" not in page
    assert "default-src 'none'" in unescape(page)
    sources = page.split('src="')[1:]
    assert len(sources) == 4 + 2
    assert all(one.startswith("data:image/") for one in sources)


def test_names_from_outside_cannot_become_markup(page):
    assert "drive &lt;&amp;&gt; back" in page
    assert "<&>" not in page
    assert "off &lt;b&gt;" in page
    assert page.count("place &lt;7&gt;") == 2


def test_the_page_has_protocol_counts_model_map_and_versions(run, page):
    for text in (
        "18 answered images with ground truth, all of them counted",
        "18: 18 answered, 0 dropped",
        "/ground_truth/pose",
        "campus.progeo, 18 places",
        "small (MobileNetV2+GeM, 1280-D",
        "progeo_ros ",
        "sequence",
        f"{run.evaluation.recall_at[1]:.3f}",
    ):
        assert text in page, text


def test_right_and_wrong_answers_are_told_apart(page):
    assert page.count('class="card match"') == page.count('class="card match wrong"') == 1
