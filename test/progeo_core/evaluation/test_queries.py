import dataclasses

import numpy as np
import pytest

from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.evaluation.queries import answer_records, evaluate_records
from progeo_core.geo import Frame
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records


@pytest.fixture(scope="module")
def records(campus_loop):
    return read_records(campus_loop / "records.csv").select(slice(0, 24))


@pytest.fixture(scope="module")
def place_map(records, small_encoder, tmp_path_factory):
    """Return a map of every other of some images of the campus drive."""
    path = tmp_path_factory.mktemp("queries") / "campus.progeo"
    build_map(path, FileSource(records.select(slice(0, None, 2))), small_encoder)
    with PlaceMap.open(path) as opened:
        yield opened


def test_every_query_is_counted_and_broken_ones_are_named(
    place_map, records, small_encoder, tmp_path
):
    queries = records.select(slice(1, None, 2))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(queries.images[0].read_bytes()[:100])
    images = (broken, *queries.images[1:])
    counted: list[int] = []
    run = evaluate_records(
        place_map,
        dataclasses.replace(queries, images=images),
        small_encoder,
        9.0,
        sequence=True,
        advance=counted.append,
    )
    assert sum(counted) == 12
    (skipped,) = run.skipped
    assert "broken.jpg" in skipped
    assert run.evaluation.queries == 11
    assert run.evaluation.recall_at[1] > 0.9
    assert run.evaluation.sequence is not None
    assert run.evaluation.sequence.recall_at[1] > 0.9


def test_answers_stand_beside_the_true_positions(place_map, records, small_encoder):
    queries = records.select(slice(1, None, 2))
    answers, truth = answer_records(place_map, queries, small_encoder)
    np.testing.assert_array_equal(truth.position, queries.position[answers.rows])
    assert answers.sequence == []


def test_no_usable_query_at_all(place_map, records, small_encoder, tmp_path):
    (tmp_path / "empty.jpg").touch()
    one = dataclasses.replace(records.select(slice(0, 1)), images=(tmp_path / "empty.jpg",))
    with pytest.raises(DataError, match=r"none of 1 query images can be used, first: .*empty\.jpg"):
        evaluate_records(place_map, one, small_encoder, 9.0)


def test_degrees_need_a_map_with_a_datum(place_map, records, small_encoder):
    degrees = dataclasses.replace(records.select(slice(0, 1)), frame=Frame.WGS84)
    with pytest.raises(UsageError, match="datum"):
        evaluate_records(place_map, degrees, small_encoder, 9.0)


def test_map_of_another_model_is_refused(place_map, records, small_encoder):
    class Other:
        fingerprint = dataclasses.replace(small_encoder.fingerprint, weights_sha256="0" * 64)
        encode = small_encoder.encode

    with pytest.raises(ModelMismatchError):
        evaluate_records(place_map, records.select(slice(0, 1)), Other(), 9.0)
