import numpy as np
import pytest

from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.decision import AMBIGUOUS, LOCALIZED
from progeo_core.localization.fitted_constants import SingleImageConstants
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.ranking import Query
from progeo_core.localization.single_image_ranker import SingleImageRanker
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve
from test.progeo_core.localization.conftest import random_descriptors


class GivenInliers(PlaceVerifier):
    """Verification by given inliers of one place, and few of all others."""

    def __init__(self, prepared, right, shared, look_alikes=0.0):
        super().__init__(prepared, 15.0)
        self.right, self.shared, self.look_alikes = right, shared, look_alikes

    def inliers(self, query, row):
        return self.shared if row == self.right else 8.0

    def detail(self, query):
        return 1.0


def query(prepared, vector, image=None):
    standardized = prepared.standardization.apply(vector[None])[0]
    return Query(0, "", vector, standardized, prepared.search(vector, 20), image)


def rank(prepared, vector, *, verifier=None, image=None, constants=None, budget_ms=0):
    verifier = verifier or GivenInliers(prepared, 0, 200.0)
    consensus = ConsensusSettings().widened(prepared.spacing.spacing_m)
    ranker = SingleImageRanker(prepared, consensus, verifier, constants)
    return ranker.rank(query(prepared, vector, image), LocalizerSettings(verification_ms=budget_ms))


def test_places_come_by_their_similarity_and_the_first_is_the_answer(prepare):
    vectors = random_descriptors(40)
    ranking = rank(prepare(vectors), vectors[12])
    assert ranking.rows[0] == 12
    assert list(ranking.similarity) == sorted(ranking.similarity, reverse=True)
    assert ranking.decision.state == LOCALIZED
    np.testing.assert_allclose(ranking.estimate.position, [120.0, 0.0, 0.0], atol=0.1)


def test_two_equal_places_are_ambiguous_until_verification_settles_them(prepare):
    vectors = random_descriptors(40)
    vectors[30] = vectors[12]
    prepared, image = prepare(vectors), np.zeros((8, 8, 3), np.uint8)
    assert rank(prepared, vectors[12]).decision.state == AMBIGUOUS
    verifier = GivenInliers(prepared, 30, 200.0)
    settled = rank(prepared, vectors[12], verifier=verifier, image=image, budget_ms=1000)
    assert settled.rows[0] == 30
    assert settled.decision.accepted


def test_image_that_looks_sure_is_refused_by_its_inliers(prepare):
    vectors = random_descriptors(40)
    prepared, image = prepare(vectors), np.zeros((8, 8, 3), np.uint8)
    weak = SingleImageConstants(gap_slope=3.0)
    assert rank(prepared, vectors[12], constants=weak).decision.accepted
    for shared, accepted in ((200.0, True), (8.0, False)):
        verifier = GivenInliers(prepared, 12, shared)
        ranking = rank(
            prepared, vectors[12], verifier=verifier, image=image, constants=weak, budget_ms=1000
        )
        assert ranking.decision.accepted is accepted


def test_constants_decide_how_sure_a_gap_makes(prepare):
    vectors = random_descriptors(40)
    blurred = vectors[12] + 0.8 * vectors[30]
    blurred /= np.linalg.norm(blurred)
    prepared = prepare(vectors)
    usual = rank(prepared, blurred).estimate.confidence
    strict = rank(prepared, blurred, constants=SingleImageConstants(gap_at_half=0.9))
    assert strict.estimate.confidence < 0.01 < usual


def test_places_are_ranked_by_inliers_where_all_of_the_map_looks_alike(prepare):
    vectors = random_descriptors(40)
    vectors[30] = vectors[12]
    prepared, image = prepare(vectors), np.zeros((8, 8, 3), np.uint8)
    for right in (12, 30):
        verifier = GivenInliers(prepared, right, 200.0, look_alikes=1.0)
        ranking = rank(prepared, vectors[12], verifier=verifier, image=image, budget_ms=1000)
        assert ranking.rows[0] == right
        assert np.isfinite(ranking.estimate.position).all()
        assert ranking.decision.state == AMBIGUOUS


def test_the_curve_of_a_map_is_of_the_verified_answer(prepare):
    vectors = random_descriptors(40)
    vectors[30] = vectors[12]
    prepared, image = prepare(vectors), np.zeros((8, 8, 3), np.uint8)
    curve = ConfidenceCurve(offset=-0.7, slope=0.8)
    for shown in (None, image):
        stated = []
        for calibration in (Calibration(), Calibration(single=curve)):
            prepared.calibration = calibration
            verifier = GivenInliers(prepared, 30, 200.0)
            ranking = rank(prepared, vectors[12], verifier=verifier, image=shown, budget_ms=1000)
            stated.append(ranking.estimate.confidence)
        assert stated[1] == pytest.approx(curve.apply(stated[0]))
