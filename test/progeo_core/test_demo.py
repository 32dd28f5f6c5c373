import numpy as np
import pytest

from progeo_core import demo
from progeo_core.evaluation.queries import evaluate_records
from progeo_core.inference.loading import load_encoder
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import FileSource


def test_sites_are_the_shipped_images():
    corridor, campus = demo.corridor(), demo.campus_loop()
    assert (len(corridor.reference), len(corridor.queries)) == (111, 111)
    assert (len(campus.reference), len(campus.queries)) == (36, 36)
    assert not set(campus.reference.images) & set(campus.queries.images)
    assert corridor.datum is None
    assert campus.datum == demo.CAMPUS_DATUM
    office = demo.office()
    assert (len(office.reference), len(office.queries)) == (79, 22)
    assert office.calibration is not None
    assert all(depth.is_file() for depth in office.reference.depth)
    assert not set(office.reference.images) & set(office.queries.images)


@pytest.mark.slow
def test_the_campus_loop_reaches_its_figure(tmp_path):
    site, encoder = demo.campus_loop(), load_encoder()
    path = tmp_path / "campus.progeo"
    build_map(path, FileSource(site.reference), encoder, datum=site.datum)
    with PlaceMap.open(path) as place_map:
        run = evaluate_records(place_map, site.queries, encoder, 5.0)
    assert run.skipped == ()
    assert np.median(run.evaluation.error_m) <= 3.5
