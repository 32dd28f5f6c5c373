import numpy as np
import pytest

from progeo_core.evaluation.map_view.coverage_gaps import find_gaps
from progeo_core.map.places import PlaceTable


@pytest.fixture
def make_table(make_places):
    def make(x, stamps_s=0, traverse=""):
        position = np.asarray(x, np.float64)[:, None] * [1.0, 0.0, 0.0]
        count = len(position)
        names = [traverse] * count if isinstance(traverse, str) else traverse
        return PlaceTable(
            ids=np.arange(1, count + 1),
            position=position,
            yaw_rad=np.full(count, np.nan),
            stamp_ns=np.broadcast_to(np.int64(1e9) * np.asarray(stamps_s), count).astype(np.int64),
            camera=("",) * count,
            traverse=tuple(names),
            image=("",) * count,
        )

    return make


def test_a_long_step_is_a_gap(make_table):
    gaps = find_gaps(make_table([0, 1, 2, 3, 43, 44, 45, 55, 56]))
    assert gaps.ends.tolist() == [[3, 4], [6, 7]]
    assert gaps.length_m.tolist() == [40.0, 10.0]


def test_another_pass_covers_a_gap(make_table):
    table = make_table([0, 1, 2, 22, 23, 24, 10, 11, 12, 13], traverse=["a"] * 6 + ["b"] * 4)
    assert not len(find_gaps(table).ends)


def test_the_order_is_that_of_the_stamps(make_table):
    table = make_table([0, 20, 1, 21, 2, 22], stamps_s=[10, 40, 11, 41, 12, 42])
    assert find_gaps(table).ends.tolist() == [[4, 1]]


def test_a_pass_that_ended_has_no_gap_to_the_next(make_table):
    table = make_table([0, 1, 2, 30, 31, 32], stamps_s=[10, 11, 12, 5000, 5001, 5002])
    assert not len(find_gaps(table).ends)


@pytest.mark.parametrize("x", [[], [1.0], [2.0, 2.0, 2.0]])
def test_few_or_equal_places_have_no_gaps(make_table, x):
    assert not len(find_gaps(make_table(x)).ends)
