import dataclasses

import numpy as np
import pytest

from progeo_core.errors import DataError, ImageError, UsageError
from progeo_core.geo import Datum
from progeo_core.image_source import FileSource
from progeo_core.map_writing import write_map
from progeo_core.place_map import PlaceMap
from progeo_core.records import read_records


class FailingSource(FileSource):
    """Images that stop coming after some."""

    after = 0

    def images(self, needed_side=0):
        for number, image in enumerate(super().images()):
            if number == self.after:
                raise KeyboardInterrupt
            yield image

    def select(self, rows):
        return failing(self.records.select(rows), self.after)


def failing(records, after):
    source = FailingSource(records)
    object.__setattr__(source, "after", after)
    return source


def test_an_interrupted_first_transaction_leaves_no_file(corridor, small_encoder, tmp_path):
    records = read_records(corridor / "ref.csv").select(slice(0, 20))
    with pytest.raises(KeyboardInterrupt):
        write_map(tmp_path / "a.progeo", failing(records, 10), small_encoder)
    assert list(tmp_path.iterdir()) == []


def test_what_was_committed_stays_and_the_rest_can_be_appended(
    corridor, small_encoder, tmp_path, caplog
):
    # A second traverse of the same images makes enough for a transaction of 128 and some more.
    once = read_records(corridor / "ref.csv").select(slice(0, 80))
    path = tmp_path / "a.progeo"
    records = _doubled(once)
    with pytest.raises(KeyboardInterrupt):
        write_map(path, failing(records, 150), small_encoder)
    assert "128 places are safe; give the same command with --append" in caplog.text
    report = write_map(path, FileSource(records), small_encoder, append=True)
    assert report == (32, 128, (), 160, None)
    with PlaceMap.open(path) as place_map:
        table = place_map.places()
    assert sorted(zip(table.image, table.traverse, strict=True)) == sorted(
        zip(map(str, records.images), records.traverse, strict=True)
    )


def test_appending_to_a_map_that_fails_never_removes_it(corridor, small_encoder, tmp_path):
    records = read_records(corridor / "ref.csv")
    path = tmp_path / "a.progeo"
    write_map(path, FileSource(records.select(slice(0, 3))), small_encoder)
    with pytest.raises(KeyboardInterrupt):
        write_map(path, failing(records.select(slice(3, 9)), 2), small_encoder, append=True)
    with PlaceMap.open(path) as place_map:
        assert len(place_map) == 3


def test_only_unusable_images_are_an_error_and_leave_no_file(small_encoder, corridor, tmp_path):
    records = read_records(corridor / "ref.csv").select(slice(0, 2))

    class Unusable(FileSource):
        def images(self, needed_side=0):
            return iter([ImageError("one.jpg: bad"), ImageError("two.jpg: bad")])

        def select(self, rows):
            return Unusable(self.records.select(rows))

    with pytest.raises(DataError, match=r"none of 2 images can be used, first: one\.jpg: bad"):
        write_map(tmp_path / "a.progeo", Unusable(records), small_encoder)
    assert list(tmp_path.iterdir()) == []


def test_degrees_take_the_first_position_as_datum(corridor, small_encoder, tmp_path):
    images = [corridor / "ref" / f"{number:07d}.jpg" for number in range(3)]
    csv = tmp_path / "a.csv"
    rows = [f"{image},{48.0 + 1e-5 * row},11.0,500" for row, image in enumerate(images)]
    csv.write_text("\n".join(["image,lat_deg,lon_deg,alt_m", *rows]))
    report = write_map(tmp_path / "a.progeo", FileSource(read_records(csv)), small_encoder)
    assert report.datum == Datum(48.0, 11.0, 500.0)
    with PlaceMap.open(tmp_path / "a.progeo") as place_map:
        north = place_map.places().position[:, 1]
    np.testing.assert_allclose(north, [0.0, 1.11, 2.22], atol=0.01)


def test_a_map_is_never_replaced_without_append(filled_map, corridor, small_encoder):
    source = FileSource(read_records(corridor / "ref.csv"))
    with pytest.raises(UsageError, match="exists already: add to it with --append"):
        write_map(filled_map, source, small_encoder)


def _doubled(records):
    return dataclasses.replace(
        records,
        images=records.images * 2,
        position=np.concatenate([records.position, records.position + 1.0]),
        yaw_rad=np.tile(records.yaw_rad, 2),
        stamp_ns=np.tile(records.stamp_ns, 2),
        camera=records.camera * 2,
        traverse=("out",) * len(records) + ("back",) * len(records),
    )
