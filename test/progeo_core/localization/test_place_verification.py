import numpy as np
import pytest

from progeo_core.images.codec import read_image
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import Belief
from progeo_core.localization.place_verification import PlaceVerifier, rival_places
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.localization.ranking import Query
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import read_records
from test.progeo_core.localization.conftest import CountingVerifier, random_descriptors


def test_belief_of_a_sequence_is_weighed_by_place(prepare):
    prepared = prepare(random_descriptors(40))
    verifier = CountingVerifier(prepared, {20: 200})
    rows = np.array([5, 6, 20, 30])
    position = prepared.places.position[rows]
    belief = Belief(rows, np.array([0.4, 0.2, 0.2, 0.1]), position, np.zeros(4), np.zeros(4), 0.1)
    query = Query(0, "", np.zeros(64, np.float32), np.zeros(64, np.float32), rows, None)
    odds = verifier.log_odds(query, belief, LocalizerSettings(verification_ms=10_000))
    assert verifier.compared[:2] == [5, 20]
    assert odds[0] == odds[1] < 0.0 < odds[2]


def test_within_the_best_place_the_image_that_shares_most_is_the_most_probable(prepare):
    prepared = prepare(random_descriptors(40))
    rows = np.array([5, 6, 20, 30])
    position = prepared.places.position[rows]
    belief = Belief(rows, np.array([0.4, 0.3, 0.1, 0.1]), position, np.zeros(4), np.zeros(4), 0.1)
    query = Query(0, "", np.zeros(64, np.float32), np.zeros(64, np.float32), rows, None)
    settings = LocalizerSettings(verification_ms=10_000)
    peak = CountingVerifier(prepared, {5: 60, 6: 120}).log_odds(query, belief, settings)
    alone = CountingVerifier(prepared, {5: 120}).log_odds(query, belief, settings)
    assert peak[1] == alone[0] == peak.max()
    assert peak[0] == pytest.approx(peak[1] + 3.0 * np.log(75 / 135))


def test_where_a_sequence_is_undecided_many_places_are_compared_but_not_alike_ones(prepare):
    prepared = prepare(random_descriptors(40))
    rows, even = np.arange(40), np.full(40, 0.02)
    belief = Belief(rows, even, prepared.places.position, np.zeros(40), np.zeros(40), 0.2)
    query = Query(0, "", np.zeros(64, np.float32), np.zeros(64, np.float32), rows, None)
    for look_alikes, places in ((0.0, 16), (0.5, 5)):
        verifier = CountingVerifier(prepared, {})
        verifier.look_alikes = look_alikes
        verifier.log_odds(query, belief, LocalizerSettings(verification_ms=10_000))
        # Then another image of the best one is.
        assert len(set(verifier.compared)) == len(verifier.compared) == places + 1


def test_what_the_image_resembles_is_a_rival_of_what_the_sequence_believes():
    position = np.arange(9)[:, None] * [10.0, 0.0, 0.0]
    probability = 0.5 ** np.arange(1.0, 10.0)
    similarity = np.zeros(9)
    similarity[7] = 0.9
    belief = Belief(np.arange(9), probability, position, similarity, np.zeros(9), 0.1)
    assert rival_places(belief, 4.0, 5).tolist() == [0, 1, 3, 4, -1, -1, -1, 2, -1]
    assert rival_places(belief._replace(similarity=-np.arange(9.0)), 14.0, 5).max() == 4
    one = Belief(np.array([4]), np.ones(1), np.zeros((1, 3)), np.ones(1), np.ones(1), 0.0)
    assert rival_places(one, 4.0, 5).tolist() == [0]


@pytest.mark.slow
def test_how_large_images_and_places_show_what_they_share(office, office_map):
    image = read_image(read_records(office / "query.csv").images[0])
    nothing = np.zeros(64, np.float32)
    query = Query(0, "", nothing, nothing, np.zeros(1, np.int64), image)
    with PlaceMap.open(office_map) as place_map:
        prepared = PreparedMap(place_map, PlaceIndex.open(place_map))
        verifier = PlaceVerifier(prepared, 2.5)
        rows = range(len(prepared.places.ids))
        inliers = [verifier.inliers(query, row) for row in rows]
        best = int(np.argmax(inliers))
        found = verifier.overlap(query, best)
        assert found is not None
        assert found.inliers == inliers[best] > 60
        assert abs(found.log_magnification) < 0.5
        there, back = (verifier.magnification(*pair) for pair in ((0, 1), (1, 0)))
    assert there < -0.3
    assert back > 0.3
