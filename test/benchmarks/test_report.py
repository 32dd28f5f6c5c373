import json

import pytest

from test.benchmarks.report import Section, write_report
from test.benchmarks.row import Row, compare, milliseconds


def test_a_ratio_above_one_is_better_whatever_the_unit() -> None:
    assert Row("time", "ms", 2.0, 6.0).ratio == 3.0
    assert Row("recall", "", 0.9, 0.6, more_is_better=True).ratio == pytest.approx(1.5)


def test_functions_are_timed_in_turns_after_one_call_each() -> None:
    calls: list[str] = []
    durations = milliseconds(lambda: calls.append("a"), lambda: calls.append("b"), repeats=2)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert [len(own) for own in durations] == [2, 2]


def test_report_has_every_figure_with_machine_and_versions(tmp_path) -> None:
    row = compare("a case", lambda: None, lambda: None, repeats=3, also={"recall@1": 1.0})
    markdown = write_report(tmp_path / "benchmarks.json", [Section("search", "What it is.", [row])])
    document = json.loads((tmp_path / "benchmarks.json").read_text())
    (written,) = document["benchmarks"]["search"]["rows"]
    assert written["ratio"] == row.ratio
    assert written["also"]["recall@1"] == 1.0
    assert document["machine"]["cores"] >= 1
    assert document["versions"]["numpy"]
    text = markdown.read_text()
    assert "| a case |" in text
    assert "recall@1 1" in text
    assert "What it is." in text
