"""Rows of a fleet's tables: what is damaged or newer is named."""

import json

import pytest

from progeo_core.errors import DataError
from progeo_core.fleet import lance_rows
from progeo_core.map.sqlite_file import DamageError
from test.fleet_places import MODEL, SESSION, some_places

pytestmark = pytest.mark.slow


def test_a_damaged_row_is_named():
    places = some_places(count=5)
    schema = lance_rows.place_schema(MODEL)
    rows = lance_rows.table_of_places(places, schema).to_pylist()
    rows[3]["thumbnail"] = b"another"
    cameras = lance_rows.cameras_of(
        [{"key": key, "json": text} for key, text in lance_rows.camera_rows(places).items()]
    )
    batch = schema.empty_table().from_pylist(rows, schema=schema).to_batches()[0]
    with pytest.raises(DamageError, match=f"place {places.ids[3]} does not match"):
        lance_rows.places_of_batch(batch, MODEL.dimension, cameras)
    assert lance_rows.places_of_batch(batch, MODEL.dimension, None).ids == places.ids


def test_a_newer_store_and_another_table_are_refused():
    schema = lance_rows.place_schema(MODEL)
    assert lance_rows.fingerprint_of("fleet", schema) == MODEL
    newer = schema.with_metadata({"progeo": json.dumps({"schema": 2})})
    with pytest.raises(DataError, match="schema 2, this program reads up to 1; update progeo"):
        lance_rows.fingerprint_of("fleet", newer)
    with pytest.raises(DataError, match="not a fleet's"):
        lance_rows.fingerprint_of("fleet", schema.with_metadata({}))
    assert lance_rows.session_of(lance_rows.session_row(SESSION)) == SESSION
