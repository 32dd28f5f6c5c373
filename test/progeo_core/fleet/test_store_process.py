"""The process of a store as its owner sees it: errors by their kind, limits, ends."""

import subprocess
import sys
import time

import pytest

from progeo_core.errors import DataError, ModelMismatchError, ProgeoError
from progeo_core.fleet.store_process import StoreProcess

# Answers "open" with what it was given, "hang" never, and ends at anything else.
STAND_IN = """
import json, sys, time
for line in sys.stdin:
    request = json.loads(line)
    if request["job"] == "hang":
        time.sleep(600)
    if request["job"] != "open":
        sys.exit(3)
    print(json.dumps(request["gives"]), flush=True)
"""


@pytest.fixture
def process(monkeypatch):
    start = subprocess.Popen
    monkeypatch.setattr(
        "progeo_core.fleet.store_process.subprocess.Popen",
        lambda _, **given: start([sys.executable, "-S", "-c", STAND_IN], **given),
    )
    created = StoreProcess("fleet")
    yield created
    created.close()


def test_answers_and_errors_come_through(process):
    assert process.ask(10.0, job="open", gives={"version": 3}) == {"version": 3}
    with pytest.raises(ModelMismatchError, match="another model"):
        process.ask(
            10.0, job="open", gives={"error": "another model", "kind": "ModelMismatchError"}
        )
    with pytest.raises(DataError, match="gone"):
        process.ask(10.0, job="open", gives={"error": "gone", "kind": "Unheard"})


def test_a_store_that_hangs_or_dies_is_an_error_and_starts_anew(process):
    started = time.monotonic()
    with pytest.raises(DataError, match="does not answer in time"):
        process.ask(0.2, job="hang")
    assert time.monotonic() - started < 30.0
    assert process.ask(10.0, job="open", gives={"a": 1}) == {"a": 1}
    with pytest.raises(DataError, match="its process ended"):
        process.ask(10.0, job="die")
    assert process.ask(10.0, job="open", gives={"b": 2}) == {"b": 2}
    process.close()
    with pytest.raises(ProgeoError, match="closed"):
        process.ask(10.0, job="open", gives={})
