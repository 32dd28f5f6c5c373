import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progeo_core.dataset.plan import FOLDERS, DatasetSettings, Fate, plan_dataset
from progeo_core.errors import DataError, UsageError
from progeo_core.records.records import join_records, read_records

HELD_OUT = FOLDERS[1:]


def both_passes(corridor):
    return join_records([read_records(corridor / f"{name}.csv") for name in ("ref", "query")])


def distances(records, one, other):
    position = records.position[:, :2]
    return np.linalg.norm(position[one][:, None] - position[other], axis=-1)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), cell=st.sampled_from([3.0, 5.0, 8.0]), campus=st.booleans())
def test_no_place_that_is_held_out_is_near_one_to_train_on(
    corridor, campus_loop, seed, cell, campus
):
    records = read_records(campus_loop / "records.csv") if campus else both_passes(corridor)
    plan = plan_dataset(records, DatasetSettings(cell_m=cell, seed=seed))
    train = plan.rows_of(Fate.TRAIN)
    for fate in HELD_OUT:
        rows = plan.rows_of(fate)
        assert len(rows)
        assert distances(records, train, rows).min() > cell
    for one in (Fate.VAL_DATABASE, Fate.VAL_QUERIES):
        for other in (Fate.TEST_DATABASE, Fate.TEST_QUERIES):
            assert distances(records, plan.rows_of(one), plan.rows_of(other)).min() > cell
    assert len(plan.fates) == len(records)


def test_passes_part_database_and_queries(corridor):
    records = both_passes(corridor)
    plan = plan_dataset(records, DatasetSettings(cell_m=5.0))
    assert plan.by_pass == {"val": True, "test": True}
    for split in ("val", "test"):
        database, queries = (
            plan.rows_of(Fate(f"{split}/{role}")) for role in ("database", "queries")
        )
        assert {records.traverse[row] for row in database} == {"ref"}
        assert {records.traverse[row] for row in queries} == {"query"}
        # Every query has a database image within the side of a cell.
        assert distances(records, queries, database).min(axis=1).max() <= 5.0


def test_one_pass_alternates(campus_loop):
    records = read_records(campus_loop / "records.csv")
    plan = plan_dataset(records, DatasetSettings(cell_m=10.0))
    assert plan.by_pass == {"val": False, "test": False}
    counts = {fate: len(plan.rows_of(fate)) for fate in FOLDERS}
    assert abs(counts[Fate.TEST_DATABASE] - counts[Fate.TEST_QUERIES]) <= 1
    assert abs(counts[Fate.VAL_DATABASE] - counts[Fate.VAL_QUERIES]) <= 1


def test_images_of_a_robot_that_stands_are_left_out(corridor):
    plan = plan_dataset(both_passes(corridor), DatasetSettings(cell_m=5.0, min_distance_m=2.5))
    still = plan.rows_of(Fate.STILL)
    # One metre apart: of every three images one is kept.
    assert len(still) == 2 * (111 - 37)
    assert still[:4].tolist() == [1, 2, 4, 5]


def test_fractions_of_0_make_no_folders(corridor):
    records = both_passes(corridor)
    plan = plan_dataset(records, DatasetSettings(cell_m=5.0, val_fraction=0, test_fraction=0.3))
    assert not {Fate.VAL_DATABASE, Fate.VAL_QUERIES} & set(plan.fates)
    assert set(plan.by_pass) == {"test"}
    only = plan_dataset(records, DatasetSettings(val_fraction=0, test_fraction=0))
    assert set(only.fates) == {Fate.TRAIN}


def test_a_site_that_is_too_small_names_the_cell(corridor):
    with pytest.raises(
        DataError, match=r"222 images over 110 m x 0 m .* cells of 100 m.*; give a smaller cell"
    ):
        plan_dataset(both_passes(corridor), DatasetSettings(cell_m=100.0))


def test_images_without_stamps_are_in_the_order_of_their_rows(campus_loop):
    records = read_records(campus_loop / "records.csv")
    stamped = dataclasses.replace(records, stamp_ns=np.arange(1, len(records) + 1) * 10**9)
    chosen = DatasetSettings(cell_m=10.0)
    assert plan_dataset(records, chosen).fates == plan_dataset(stamped, chosen).fates


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to train on"),
        ({"cell_m": 0.0}, "cell_m = 0.0: must be between 0.1 and"),
        ({"min_distance_m": -1.0}, "min_distance_m"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, message):
    with pytest.raises(UsageError, match=message):
        DatasetSettings(**values)
