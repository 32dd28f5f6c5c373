import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.map.place_map import PlaceMap


def test_rows_of_ids_survive_deletion(filled_map):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        place_map.delete([2, 3])
        table = place_map.poses()
        assert table.ids.tolist() == [1, 4, 5]
        assert table.rows_of([[5, 1], [-1, 4]]).tolist() == [[2, 0], [-1, 1]]
        with pytest.raises(DataError, match="place 2 is not in the map"):
            table.rows_of([1, 2])


def test_rows_of_an_empty_map(tmp_path, fingerprint):
    with PlaceMap.create(tmp_path / "a.progeo", fingerprint) as place_map:
        table = place_map.poses()
        assert table.position.shape == (0, 3)
        assert table.rows_of([[-1, -1]]).tolist() == [[-1, -1]]
        with pytest.raises(DataError, match="place 1"):
            table.rows_of([1])
        assert place_map.descriptors().shape == (0, 8)
        assert list(place_map.descriptor_blocks(10)) == []


def test_parts_of_the_table_are_the_table(filled_map):
    with PlaceMap.open(filled_map) as place_map:
        table, poses = place_map.places(), place_map.poses()
        for own, all_of_it in zip(poses, table.poses, strict=True):
            np.testing.assert_array_equal(own, all_of_it)
        ids = [4, 1, 4]
        assert place_map.images(ids) == [table.image[table.ids.tolist().index(i)] for i in ids]
        assert place_map.has_several_cameras() == (len(set(table.camera)) > 1)
