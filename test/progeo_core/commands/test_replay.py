import json

import pytest

from progeo_core.bags.writer import IMAGE_TOPIC, POSE_TOPIC, write_bag
from progeo_core.records.records import read_records


@pytest.fixture
def drive(campus_loop, tmp_path):
    """Return a bag of six odd campus frames with their poses."""
    records = read_records(campus_loop / "records.csv").select(slice(1, 13, 2))
    write_bag(tmp_path / "drive", records)
    return tmp_path / "drive"


@pytest.fixture
def replay(progeo, drive, campus_map):
    """Return a function that replays the bag against the map of the even frames."""

    def run(*arguments, truth=POSE_TOPIC):
        topics = "--image-topic", IMAGE_TOPIC, "--ground-truth-topic", truth
        return progeo("replay", drive, "--map", campus_map, *topics, "--radius", 10, *arguments)

    return run


def test_a_replay_ends_with_figures_and_a_report(replay, small_model, tmp_path):
    report = tmp_path / "report"
    done = replay("--model", small_model, "--device", "cpu", "--report", report)
    assert done.code == 0, done.err
    assert "6: 6 answered, 0 dropped" in done.out
    assert "ms median" in done.out
    assert str(report / "report.html") in done.out
    summary = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    assert (summary["images"], summary["answered"], summary["mode"]) == (6, 6, "offline")
    assert summary["recall_at"]["5"] == 1.0
    for name in ("report.html", "trajectory.tum", "ground_truth.tum", "matches/best_1.jpg"):
        assert (report / name).stat().st_size > 0, name


def test_the_live_node_chooses_by_itself(replay, tmp_path):
    done = replay("--live", "--device", "cpu", "--report", tmp_path / "report")
    assert done.code == 2
    assert done.error.startswith("--device and --runtime go with an offline replay")
    assert not (tmp_path / "report").exists()


def test_a_topic_that_is_not_there_is_named(replay, tmp_path):
    done = replay("--report", tmp_path / "report", truth="/odom")
    assert done.code == 1
    assert f"there is no topic '/odom'; topics with poses: {POSE_TOPIC}" in done.error
    assert not (tmp_path / "report").exists()
