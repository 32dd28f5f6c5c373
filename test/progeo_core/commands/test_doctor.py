import json

import pytest

from progeo_core.evaluation.doctor import ros


@pytest.fixture(autouse=True)
def no_ros(monkeypatch):
    """Leave out ROS, which has tests of its own."""
    monkeypatch.setattr(ros, "has_ros", lambda: False)


@pytest.mark.slow
def test_doctor_says_what_works_and_what_to_do(progeo, campus_map, small_model):
    done = progeo("doctor", campus_map, "--model", small_model, "--device", "cpu")
    assert done.code == 0, done.out
    assert "torch on cpu" in done.out
    assert "→ source /opt/ros" in done.out
    assert "problems: 0" in done.out


@pytest.mark.slow
def test_doctor_fails_where_something_does_not_work(progeo, tmp_path, small_model):
    done = progeo("doctor", tmp_path / "none.progeo", "--model", small_model, "--json")
    assert done.code == 1
    document = json.loads(done.out)
    assert document["schema"] == 1
    (problem,) = [one for one in document["findings"] if one["state"] == "problem"]
    assert problem["subject"] == str(tmp_path / "none.progeo")
