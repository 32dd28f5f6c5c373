"""Some 2,000 cases over every kind of untrusted input; `make fuzz` runs 50,000."""

import pytest

from test.fuzz.__main__ import shares, table
from test.fuzz.kind import Outcome
from test.fuzz.kinds import KINDS
from test.fuzz.misbehaviour import WAYS
from test.fuzz.worker import Worker

CASES = 2000
RIGHT = (Outcome.READ, Outcome.REFUSED)


@pytest.fixture(scope="module")
def worker():
    with Worker() as one:
        one.run(next(iter(KINDS)), 0)  # which starts it
        yield one


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_no_input_of_this_kind_does_anything_but_be_read_or_refused(worker, name):
    results = [worker.run(name, number) for number in range(shares(KINDS, CASES)[name])]
    wrong = [result for result in results if result.outcome not in RIGHT]
    assert not wrong, "\n".join(
        f"python -m test.fuzz --kind {name!r} --case {one.case}: {one.outcome.value}\n{one.detail}"
        for one in wrong[:3]
    )


@pytest.mark.slow
def test_a_worker_sees_what_goes_wrong():
    with Worker("test.fuzz.misbehaviour", cpu_s=1.0) as own:
        outcomes = {way: own.run(way, 0) for way in WAYS if way != "sleeps"}
    with Worker("test.fuzz.misbehaviour", wall_s=3.0) as own:
        outcomes["sleeps"] = own.run("sleeps", 0)
    assert {way: result.outcome.value for way, result in outcomes.items()} == {
        "read": "read",
        "refused": "refused",
        "wrong": "wrong",
        "silent": "silent",
        "memory": "wrong",
        "dies": "wrong",
        "sleeps": "hang",
        "spins": "hang",
    }
    assert "KeyError: 'wrong'" in outcomes["wrong"].detail
    assert "MemoryError" in outcomes["memory"].detail
    assert "-6" in outcomes["dies"].detail


def test_the_table_has_a_row_for_every_kind_and_one_for_all():
    text = table({"JPEG": {Outcome.READ: 1200, Outcome.HANG: 1}, "PNG": {Outcome.REFUSED: 3}})
    assert text.splitlines()[0] == "| input | cases | read | refused | silent | wrong | hang |"
    assert text.splitlines()[2:] == [
        "| JPEG | 1,201 | 1,200 | 0 | 0 | 0 | 1 |",
        "| PNG | 3 | 0 | 3 | 0 | 0 | 0 |",
        "| all | 1,204 | 1,200 | 3 | 0 | 0 | 1 |",
    ]
