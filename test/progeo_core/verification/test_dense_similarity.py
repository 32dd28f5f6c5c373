import numpy as np
import pytest

from progeo_core.images.codec import read_image
from progeo_core.records.records import read_records
from progeo_core.verification.dense_features import find_cells
from progeo_core.verification.dense_similarity import dense_similarity, similarity_log_odds


@pytest.fixture(scope="module")
def passes(corridor):
    """Return the cells of every tenth image of both passes, taken in other light."""
    files = [read_records(corridor / f"{name}.csv").images[::10] for name in ("query", "ref")]
    return [[find_cells(image) for image in map(read_image, of_pass)] for of_pass in files]


def test_similarity_of_an_image_to_itself_is_one(passes):
    assert dense_similarity(passes[0][3], passes[0][3]) == pytest.approx(1.0)
    assert dense_similarity(passes[0][3], passes[1][5]) == pytest.approx(
        dense_similarity(passes[1][5], passes[0][3])
    )


def test_parts_of_one_corridor_are_told_apart_in_other_light(passes):
    queries, references = passes
    similarity = np.array(
        [[dense_similarity(query, place) for place in references] for query in queries]
    )
    assert (similarity.argmax(axis=1) == np.arange(len(queries))).mean() > 0.9


def test_place_counts_by_what_sets_it_apart_from_places_elsewhere():
    position = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [50.0, 0.0, 0.0]])
    odds = similarity_log_odds(np.array([0.70, 0.69, 0.65]), position, 5.0)
    # The neighbour shows the same and takes nothing away; the place elsewhere loses clearly.
    assert odds[0] > odds[1] > 3.0
    assert odds[2] < -5.0


def test_places_that_look_the_same_speak_against_each_other():
    position = np.array([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0]])
    alone = similarity_log_odds(np.array([0.64]), position[:1], 5.0)
    both = similarity_log_odds(np.array([0.64, 0.64]), position, 5.0)
    assert alone.tolist() == [pytest.approx(0.0)]
    assert (both < -1.0).all()
