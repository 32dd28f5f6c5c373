import importlib.util

from progeo_core.evaluation.doctor.finding import State
from progeo_core.evaluation.doctor.packages import check_packages


def test_an_environment_that_runs_the_tests_lacks_nothing():
    assert not [one for one in check_packages() if one.state is State.PROBLEM]


def test_missing_packages_are_named_with_their_fix(monkeypatch):
    find = importlib.util.find_spec
    gone = {"faiss", "onnx"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda one: None if one in gone else find(one))
    found = {one.subject: one for one in check_packages()}
    assert found["faiss-cpu"].state is State.PROBLEM
    assert found["faiss-cpu"].fix == "pip install 'faiss-cpu'"
    assert found["onnx"].state is State.NOTE
    assert "onnxruntime" in found["onnx"].fix
