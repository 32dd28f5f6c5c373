import shutil

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.evaluation.calibrate_map import _fit, calibrate_map
from progeo_core.evaluation.metrics import reliability
from progeo_core.evaluation.queries import answer_records
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.localization.answer import Localization
from progeo_core.map.build import build_map
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records


@pytest.fixture(scope="module")
def records(campus_loop):
    return read_records(campus_loop / "records.csv")


@pytest.fixture(scope="module")
def uncalibrated(records, small_encoder, tmp_path_factory):
    """Return a map of every second frame of the campus loop."""
    path = tmp_path_factory.mktemp("maps") / "campus.progeo"
    build_map(path, FileSource(records.select(slice(0, None, 2))), small_encoder)
    return path


@pytest.fixture
def place_map(uncalibrated, tmp_path):
    shutil.copy(uncalibrated, tmp_path / "campus.progeo")
    with PlaceMap.open(tmp_path / "campus.progeo", writable=True) as opened:
        yield opened


class _Counting(FeatureExtractor):
    """Extractor that counts the images it is asked about."""

    images = 0

    def find(self, images, *options):
        self.images += len(images)
        return super().find(images, *options)


def calibration_error(answers, truth, radius_m):
    confidence = np.array([answer.estimate.confidence for answer in answers])
    position = np.stack([answer.estimate.position for answer in answers])
    right = np.linalg.norm((position - truth)[:, :2], axis=1) <= radius_m
    return reliability(confidence, right).expected_error


@pytest.mark.slow
def test_the_confidence_comes_nearer_to_the_share_that_is_right(place_map, records, small_encoder):
    queries = records.select(slice(1, None, 2))
    report = calibrate_map(place_map, queries, small_encoder)
    assert report.sequence is None
    assert report.skipped == ()
    assert report.single.answers == len(queries) == 36
    assert place_map.calibration().single == report.single.curve
    again, truth = answer_records(place_map, queries, small_encoder)
    error = calibration_error(again.single, truth.position, report.radius_m)
    assert error < report.single.before


@pytest.mark.slow
def test_a_sequence_has_a_curve_of_its_own_and_leaves_that_of_single_images(
    place_map, records, small_encoder
):
    queries = records.select(slice(1, None, 2))
    extractor = _Counting("cpu")
    single = calibrate_map(place_map, queries, small_encoder, extractor=extractor).single.curve
    assert extractor.images > 0
    report = calibrate_map(place_map, queries, small_encoder, sequence=True)
    assert report.sequence is not None
    kept = place_map.calibration()
    assert kept.single == single.then(report.single.curve)
    assert kept.sequence == Calibration().sequence.then(report.sequence.curve)


def test_too_few_images_are_refused_and_change_nothing(place_map, records, small_encoder):
    with pytest.raises(DataError, match="19 images can be used, a calibration needs 20 or more"):
        calibrate_map(place_map, records.select(slice(0, 19)), small_encoder)
    assert place_map.calibration() is None


def test_a_curve_that_is_worse_on_what_it_was_not_fitted_to_is_not_taken():
    """Half of a drive off the map: what one half teaches is wrong for the other."""
    estimate, truth = PoseEstimate(np.zeros(3), 0.0, np.eye(6), 0.7), np.zeros((100, 3))
    nothing = np.zeros(1, np.float32)
    one = Localization(0, "", estimate, None, False, "AMBIGUOUS", "", (), nothing)
    answers = [one] * 100
    truth[50:, 0] = 100.0
    fit = _fit(answers, truth, 2.5)
    assert fit.before == pytest.approx(0.2)
    assert not fit.is_better
    assert fit.curve == ConfidenceCurve()
    truth[:] = 0.0
    truth[::2, 0] = 100.0
    assert _fit(answers, truth, 2.5).is_better
