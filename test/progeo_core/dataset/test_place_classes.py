import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.dataset.place_classes import PlaceClassSettings, class_ids, group_ids, group_places
from progeo_core.errors import DataError, UsageError

EVERY_CLASS = PlaceClassSettings(min_images_per_class=1, groups_num=1)
ONE_GROUP = PlaceClassSettings(N=1, L=1, min_images_per_class=1, groups_num=1)


@pytest.fixture(scope="module")
def golden(authors_npz):
    return np.load(authors_npz)


@pytest.fixture(scope="module")
def places():
    """East, north and heading of the reference values."""
    draw = np.random.default_rng(zlib.crc32(b"0/utm"))
    return (
        draw.uniform(540e3, 560e3, 2000),
        draw.uniform(4170e3, 4190e3, 2000),
        draw.uniform(0.0, 360.0, 2000),
    )


def test_class_ids_are_the_authors(golden, places):
    east, north, heading = places
    found = class_ids(east, north, heading, PlaceClassSettings())
    np.testing.assert_array_equal(found, golden["class_ids"])


def test_group_ids_are_the_authors(golden, places):
    east, north, heading = places
    found = group_ids(east, north, heading, PlaceClassSettings())
    np.testing.assert_array_equal(found, golden["group_ids"])


def test_groups_hold_the_authors_classes(golden, places):
    size = PlaceClassSettings(min_images_per_class=1, groups_num=50)
    east, north, heading = places
    groups = group_places(east, north, heading, 10, size)
    # As the authors': in the order in which the images come.
    assert [group.group_id for group in groups] == list(
        dict.fromkeys(map(tuple, golden["group_ids"]))
    )
    for group in groups:
        rows = (golden["group_ids"] == group.group_id).all(axis=1)
        np.testing.assert_array_equal(np.sort(group.images), np.flatnonzero(rows))
        np.testing.assert_array_equal(
            group.class_id[group.labels][:, 1:], golden["class_ids"][group.images]
        )


columns = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-500.0, 500.0), min_size=n, max_size=n),
        st.lists(st.floats(-500.0, 500.0), min_size=n, max_size=n),
        st.lists(st.floats(-720.0, 720.0), min_size=n, max_size=n),
        st.lists(st.sampled_from([-10, 10, 11]), min_size=n, max_size=n),
    )
)
sizes = st.builds(
    PlaceClassSettings,
    M=st.floats(5.0, 400.0),
    alpha=st.floats(10.0, 360.0),
    N=st.integers(1, 3),
    L=st.integers(1, 3),
    groups_num=st.just(1),
    min_images_per_class=st.just(1),
)


@pytest.mark.slow
@given(columns, sizes)
def test_classes_are_cells_of_one_zone_and_groups_keep_them_apart(table, size):
    east, north, heading, zone = map(np.array, table)
    (group,) = group_places(east, north, heading, zone, size)
    assert len(group.images) == len(set(group.images.tolist())) == group.starts[-1]
    for label in range(len(group)):
        rows = group.images_of(label)
        assert set(zone[rows]) == {group.class_id[label, 0]}
        assert np.ptp(east[rows]) <= size.M
        assert np.ptp(north[rows]) <= size.M
        assert np.ptp(np.mod(heading[rows], 360.0)) <= size.alpha
    for this in group.class_id:
        same = (group.class_id[:, 0] == this[0]) & (group.class_id != this).any(axis=1)
        apart = np.abs(group.class_id[same, 1:3] - this[1:3]).max(axis=1, initial=0.0)
        turned = np.abs(group.class_id[same, 3] - this[3])
        assert ((apart > size.M * (size.N - 0.5)) | (turned > 0.0)).all()


@pytest.mark.slow
@given(columns, st.randoms(use_true_random=False))
def test_class_order_does_not_depend_on_the_order_of_images(table, random):
    rows = list(zip(*table, strict=True))
    random.shuffle(rows)
    first, second = (
        group_places(east, north, heading, zone, ONE_GROUP)[0]
        for east, north, heading, zone in (table, zip(*rows, strict=True))
    )
    assert first.group_id == second.group_id
    np.testing.assert_array_equal(first.class_id, second.class_id)
    np.testing.assert_array_equal(first.starts, second.starts)


def test_images_of_a_class_keep_the_order_of_the_data_set():
    (group,) = group_places(np.full(4, 5.0), [2.0, 55.0, 3.0, 56.0], np.zeros(4), 0, EVERY_CLASS)
    assert group.class_id.tolist() == [[0, 0, 0, 0], [0, 0, 50, 0]]
    assert group.images.tolist() == [0, 2, 1, 3]
    assert group.labels.tolist() == [0, 0, 1, 1]
    assert group.images_of(1).tolist() == [1, 3]


def test_zones_and_hemispheres_never_mix():
    same = np.full(3, 5.0e6)
    (group,) = group_places(same / 10, same, np.zeros(3), np.array([10, 11, -10]), EVERY_CLASS)
    assert group.class_id[:, 0].tolist() == [-10, 10, 11]


def test_small_classes_are_dropped():
    size = PlaceClassSettings(min_images_per_class=3, groups_num=1)
    (group,) = group_places([1.0, 2.0, 3.0, 51.0, 52.0], np.zeros(5), np.zeros(5), 0, size)
    assert len(group) == 1
    assert group.images.tolist() == [0, 1, 2]


def test_no_large_class_names_the_settings_to_change():
    with pytest.raises(
        DataError,
        match=r"no class has 10 images: the largest of 2 has 2; lower min_images_per_class, or"
        r" enlarge M \(10 m\) or alpha \(30°\)",
    ):
        group_places([1.0, 2.0, 55.0], np.zeros(3), np.zeros(3), 0, PlaceClassSettings())


def test_no_images_at_all():
    with pytest.raises(DataError, match="the largest of 0 has 0"):
        group_places([], [], [], 0, PlaceClassSettings())


def test_too_few_groups_name_the_setting_to_change():
    size = PlaceClassSettings(min_images_per_class=1)
    with pytest.raises(DataError, match=r"groups_num = 8, but only 2 groups .* lower groups_num"):
        group_places([1.0, 11.0], np.zeros(2), np.zeros(2), 0, size)


def test_missing_headings_and_positions_are_counted():
    unknown = [np.nan, 0.0, np.nan]
    with pytest.raises(DataError, match=r"2 of 3 images have no heading, first: image 0;.*alpha"):
        group_places(np.zeros(3), np.zeros(3), unknown, 0, EVERY_CLASS)
    with pytest.raises(DataError, match=r"2 of 3 images have no position, first: image 0"):
        group_places(unknown, np.zeros(3), np.zeros(3), 0, EVERY_CLASS)


def test_a_full_turn_needs_no_headings():
    size = PlaceClassSettings(alpha=360.0, min_images_per_class=1, groups_num=1)
    (group,) = group_places(np.zeros(3), np.zeros(3), np.full(3, np.nan), 0, size)
    assert group.class_id.tolist() == [[0, 0, 0, 0]]


def test_settings_out_of_range_are_refused():
    with pytest.raises(UsageError, match=r"PlaceClassSettings\.alpha"):
        PlaceClassSettings(alpha=0.0)
