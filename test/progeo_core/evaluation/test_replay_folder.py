import json

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.evaluation.replay_folder import best_answers, worst_answers, write_replay
from progeo_core.images.codec import read_image

pytestmark = pytest.mark.slow  # a drive is answered first


@pytest.fixture(scope="module")
def files(run, tmp_path_factory):
    """Return the files that the replay left."""
    return write_replay(run, tmp_path_factory.mktemp("report") / "new" / "folder")


def test_summary_has_the_fixed_keys(run, files):
    summary = json.loads(files.summary.read_text())
    assert summary["schema"] == 1
    assert summary["images"] == summary["answered"] == summary["queries"] == 18
    assert summary["dropped"] == 0
    assert summary["dropped_by"] == {"failed": 0}
    assert summary["database"] == 18
    assert set(summary["latency_ms"]) == {"p50", "p95", "p99"}
    assert summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"]
    assert set(summary["recall_at"]) == {"1", "5", "10", "20"}
    assert set(summary["position_error_m"]) == {"median", "p90"}
    assert summary["mode"] == "offline"
    assert summary["model"]["name"] == "small"
    assert summary["sequence"]["accepted"] >= 0


def test_trajectories_are_what_evo_reads(run, files):
    estimate, truth = np.loadtxt(files.trajectory), np.loadtxt(files.ground_truth)
    assert estimate.shape == truth.shape == (18, 8)
    assert (np.diff(estimate[:, 0]) > 0.0).all()
    np.testing.assert_allclose(np.linalg.norm(estimate[:, 4:], axis=1), 1.0, atol=1e-6)
    error = np.linalg.norm((estimate - truth)[:, 1:3], axis=1)
    np.testing.assert_allclose(error, run.evaluation.published.error_m, atol=1e-5)
    first = files.trajectory.read_text().split(maxsplit=1)[0]
    assert int(first.replace(".", "")) == run.localizations[0].stamp_ns


def test_best_and_worst_are_shown_as_pictures(run, files):
    best, worst = best_answers(run), worst_answers(run)
    names = {path.name for path in files.matches.iterdir()}
    drawn = {f"best_{rank}.jpg" for rank in range(1, len(best) + 1)}
    # An answer that is both is drawn once, among the best.
    drawn |= {f"worst_{rank}.jpg" for rank, one in enumerate(worst, 1) if one not in best}
    assert names == drawn
    assert read_image(files.matches / "best_1.jpg").shape[0] == 268
    published = run.evaluation.published
    assert published.right[best].all()
    assert published.error_m[worst[0]] == published.error_m.max()


def test_full_poses_are_summed_up_and_their_lines_drawn(office_run, tmp_path):
    files = write_replay(office_run, tmp_path)
    summary = json.loads(files.summary.read_text())
    assert summary["metric_pose"]["answered"] == 1.0
    assert summary["metric_pose"]["within"]["0.10m_5deg"] == 1.0
    assert summary["metric_pose"]["rotation_error_deg"]["median"] < 2.0
    page = files.report.read_text(encoding="utf-8")
    assert "Full poses of the camera" in page
    assert " here)" in page
    metric = [answer.metric for answer in office_run.localizations]
    first = best_answers(office_run)[0]
    assert metric[first].landmarks == max(one.landmarks for one in metric)
    farthest = int(np.argmax(office_run.poses.full.position_m))
    assert farthest in worst_answers(office_run)


def test_a_replay_without_calibration_has_no_full_poses(run, files):
    assert run.poses is None
    assert "metric_pose" not in json.loads(files.summary.read_text())
    assert "Full poses" not in files.report.read_text(encoding="utf-8")


def test_a_second_report_replaces_the_first(run, tmp_path):
    first = write_replay(run, tmp_path)
    (first.matches / "worst_99.jpg").write_bytes(b"old")
    (first.matches / "mine.jpg").write_bytes(b"kept")
    write_replay(run, tmp_path)
    assert not (first.matches / "worst_99.jpg").exists()
    assert (first.matches / "mine.jpg").exists()


def test_images_that_are_gone_are_left_out_of_the_report(run, tmp_path, monkeypatch):
    monkeypatch.setattr(type(run.source), "read_images", lambda *_: iter(()))
    files = write_replay(run, tmp_path)
    assert not any(files.matches.iterdir())
    assert "best_1" not in files.report.read_text(encoding="utf-8")
    assert json.loads(files.summary.read_text())["answered"] == 18


def test_a_folder_that_cannot_be_made_is_named(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: the report cannot be written"):
        write_replay(run, tmp_path / "file")
