import numpy as np
import pytest

from progeo_core.evaluation.answer_explorer import explorer_data
from progeo_core.evaluation.answer_table import answer_rows
from progeo_core.evaluation.report import write_report
from test.chromium import chromium_program, open_browser

pytestmark = pytest.mark.slow  # a browser starts


@pytest.fixture(scope="module")
def data(run):
    return explorer_data(run, answer_rows(run))


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    """Return a real browser that shows the report, 1280 pixels wide."""
    program = chromium_program()
    if program is None:
        pytest.skip("no Chromium is installed, which opens the pages: apt install chromium")
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, run, answer_rows(run), [], [])
    with open_browser(program) as one:
        one.open(path.as_uri(), 1280, 2400)
        yield one


def test_the_page_has_both_runs_and_a_picture_of_each_side(run, data):
    assert [one["name"] for one in data["runs"]] == ["single image", "sequence"]
    for one in data["runs"]:
        figures = run.evaluation.runs[one["name"]]
        np.testing.assert_allclose(one["answer"]["error"], figures.error_m, atol=1e-3)
        assert one["accepted"] == figures.accepted.tolist()
        assert min(one["picture"]) >= 0
    assert min(data["picture"]) >= 0
    assert len(data["pictures"]) <= 18 + 18


def test_hovering_and_clicking_show_query_and_match(run, page):
    for plot in ("plan", "timeline"):
        left, top, x, y = page.run(
            f"(box => [box.left, box.top, {plot}.toX({plot}.x(7)), {plot}.toY({plot}.y(7))])"
            f"({plot}.canvas.getBoundingClientRect())"
        )
        x, y = left + x, top + y
        page.hover(x, y)
        one = page.run("hovered")
        error = run.evaluation.published.error_m[one]
        assert f"{error:.2f} m off" in page.text("#tip")
        assert page.run("document.querySelectorAll('#tip img').length") == 2
        page.click(x, y)
        assert "confidence" in page.text("#answer_facts")
        assert page.text("#answer_views").startswith("query: ")
        assert page.run("[...document.querySelectorAll('#answer img')].every(one => one.complete)")
    page.run("by('close').click()")


def test_the_slider_shows_what_a_threshold_would_accept(run, page):
    published = run.evaluation.published
    before = int(published.accepted.sum())
    assert page.text("#outcome").startswith(
        f"{before} of 18 accepted, {published.false_accepts} of them wrong"
    )
    page.run("by('threshold').value = 0, by('threshold').dispatchEvent(new Event('input'))")
    wrong = int((~published.right).sum())
    assert page.text("#outcome").startswith(f"18 of 18 accepted, {wrong} of them wrong")
    page.run("by('decided').click()")
    assert page.text("#outcome").startswith(f"{before} of 18")


def test_runs_and_levels_are_switched(run, page):
    page.run("document.querySelector('[data-run=\"single image\"]').click()")
    single = run.evaluation.runs["single image"]
    assert page.text("#outcome").startswith(f"{int(single.accepted.sum())} of 18")
    page.run("document.querySelector('[data-level=place]').click()")
    assert page.run("plan.x(0)") == pytest.approx(page.run("run.place.x[0]"))
    page.run("document.querySelector('[data-level=answer]').click()")
    page.run("document.querySelector('[data-run=sequence]').click()")


def test_the_page_fits_a_phone_and_requests_nothing(page):
    page.resize(400, 900)
    page.run("choose(3)")
    assert page.run("document.documentElement.scrollWidth") <= 400
    assert page.run(
        "[...document.querySelectorAll('.tile')].every(one => one.scrollWidth <= one.clientWidth)"
    )
    assert page.requests == []
    assert page.problems == []
