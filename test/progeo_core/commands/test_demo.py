import json

import pytest

from progeo_core import cli, demo
from progeo_core.commands.options import ModelSettings
from progeo_core.map.place_map import PlaceMap


def few(site, count):
    """Return a site with a few of its images."""
    return site._replace(
        reference=site.reference.select(slice(0, count)),
        queries=site.queries.select(slice(0, count)),
    )


def later(office):
    """Return the office as its last visit saw it, with a few queries."""
    return office._replace(
        reference=office.reference.select(slice(-14, None)),
        queries=office.queries.select(slice(-7, -3)),
    )


@pytest.fixture
def few_images(monkeypatch, small_model):
    """Let the demo run on few images, with the small model."""
    sites = few(demo.corridor(), 6), few(demo.campus_loop(), 6), later(demo.office())
    monkeypatch.setattr(demo, "corridor", lambda: sites[0])
    monkeypatch.setattr(demo, "campus_loop", lambda: sites[1])
    monkeypatch.setattr(demo, "office", lambda: sites[2])
    settings = ModelSettings(model=str(small_model))
    monkeypatch.setattr("progeo_core.commands.demo.MODEL", settings)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.slow
def test_without_rclpy_the_command_says_so_and_replays_offline(
    few_images, monkeypatch, tmp_path, capfd
):
    monkeypatch.setattr("progeo_core.evaluation.live_answers.has_ros", lambda: False)
    out = tmp_path / "demo"
    for _ in range(2):  # a second run replaces the first
        assert cli.main(["demo", "--out", str(out)]) == 0
    captured = capfd.readouterr()
    assert "rclpy is not installed, so the bags are replayed offline" in captured.out
    said = " ".join(captured.out.split())
    for text in ("right within", "Recall@1, single image", "its datum is nominal"):
        assert text in said
    assert "4 of 4" in captured.out
    assert " cm, " in captured.out
    for name in ("corridor", "campus", "office"):
        assert str(out / f"{name}_report" / "report.html") in captured.out
        assert (out / f"{name}_report" / "matches" / "best_1.jpg").is_file()
    summary = json.loads((out / "office_report" / "summary.json").read_text())
    assert summary["metric_pose"]["within"]["0.10m_5deg"] == 1.0
    with PlaceMap.open(out / "campus.progeo") as place_map:
        assert place_map.datum == demo.CAMPUS_DATUM
    assert f"{demo.CAMPUS_DATUM.lat_deg:.2f}" in captured.out


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_named(tmp_path, capfd):
    (tmp_path / "file").touch()
    assert cli.main(["demo", "--out", str(tmp_path / "file")]) == 1
    assert "the demo cannot write here" in capfd.readouterr().err
