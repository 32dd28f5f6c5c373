import numpy as np

from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.decision import LOCALIZED
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import PlaceFilter
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.ranking import Query
from progeo_core.localization.sequence_ranker import SequenceRanker
from progeo_core.poses.pose_buffer import PoseBuffer
from test.progeo_core.localization.conftest import random_descriptors

SECOND = 1_000_000_000
SETTINGS = LocalizerSettings(sequence=True, verification_ms=1000)


class FavouringVerifier(PlaceVerifier):
    """Verification that speaks for one place, and counts how often it was asked."""

    look_alikes = 0.0

    def __init__(self, row):
        self.row, self.asked = row, 0

    def log_odds(self, query, belief, settings):
        self.asked += 1
        return np.where(belief.rows == self.row, 5.0, -5.0)


class Follower:
    def __init__(self, prepared, verifier=None, odometry=None):
        self.prepared = prepared
        spacing_m = prepared.spacing.spacing_m
        self.ranker = SequenceRanker(
            prepared,
            ConsensusSettings().widened(spacing_m),
            verifier or FavouringVerifier(0),
            PlaceFilter(prepared.places.position, spacing_m),
            odometry or PoseBuffer(),
        )

    def sees(self, vector, stamp_s, image=None):
        standardized = self.prepared.standardization.apply(vector[None])[0]
        candidates = self.prepared.search(vector, 20)
        query = Query(round(stamp_s * SECOND), "", vector, standardized, candidates, image)
        return self.ranker.rank(query, SETTINGS)


def test_belief_grows_along_a_drive_and_is_forgotten_on_reset(prepare):
    vectors = random_descriptors(40)
    follower = Follower(prepare(vectors))
    first, *_, last = (follower.sees(vectors[row], row + 1) for row in range(10, 18))
    assert last.rows[0] == 17
    assert last.decision.state == LOCALIZED
    assert last.estimate.confidence >= first.estimate.confidence
    follower.ranker.reset()
    again = follower.sees(vectors[10], 11)
    assert again.estimate.confidence == first.estimate.confidence


def test_repeated_image_leaves_the_answer_as_it_is(prepare):
    vectors = random_descriptors(40)
    follower = Follower(prepare(vectors))
    first = follower.sees(vectors[10], 1)
    again = follower.sees(vectors[10], 2)
    assert again.estimate.confidence == first.estimate.confidence


def test_verification_settles_two_equal_places_and_is_not_asked_of_sure_ones(prepare):
    vectors = random_descriptors(40)
    vectors[30] = vectors[12]
    verifier = FavouringVerifier(30)
    follower = Follower(prepare(vectors), verifier)
    image = np.zeros((8, 8, 3), np.uint8)
    settled = follower.sees(vectors[12], 1, image)
    assert settled.rows[0] == 30
    assert settled.decision.accepted
    assert verifier.asked == 1
    follower.ranker.reset()
    follower.sees(vectors[5], 2, image)
    assert verifier.asked == 1


def test_a_sure_belief_is_verified_now_and_then(prepare):
    vectors = random_descriptors(40)
    verifier = FavouringVerifier(0)
    follower = Follower(prepare(vectors))
    follower.ranker._verifier = verifier
    image = np.zeros((8, 8, 3), np.uint8)
    sure = [follower.sees(vectors[row], row, image).decision.accepted for row in range(10, 13)]
    assert sure[1]
    assert verifier.asked == 1


def test_a_sure_belief_is_verified_where_the_image_looks_like_elsewhere(prepare):
    vectors = random_descriptors(40)
    verifier = FavouringVerifier(12)
    follower = Follower(prepare(vectors))
    image = np.zeros((8, 8, 3), np.uint8)
    for row in (9, 10, 11):
        follower.sees(vectors[row], row, image)
    follower.ranker._verifier = verifier
    follower.sees(vectors[12], 12, image)
    assert verifier.asked == 0
    mixed = vectors[13] + 1.2 * vectors[30]
    follower.sees(mixed / np.linalg.norm(mixed), 13, image)
    assert verifier.asked == 1


def test_odometry_holds_the_belief_where_a_robot_stands_and_images_say_nothing(prepare):
    vectors, unknown = random_descriptors(40), random_descriptors(1, seed=9)[0]
    prepared, odometry = prepare(vectors), PoseBuffer()
    standing, moving = Follower(prepared, odometry=odometry), Follower(prepared)
    for row in range(5):
        odometry.add((row + 1) * SECOND, [10.0 * row, 0.0, 0.0], 0.0)
        for follower in (standing, moving):
            follower.sees(vectors[row], row + 1)
    odometry.add(9 * SECOND, [40.0, 0.0, 0.0], 0.0)
    held, led_on = (follower.sees(unknown, 9) for follower in (standing, moving))
    assert abs(held.estimate.position[0] - 40.0) < 10.0
    assert led_on.estimate.position[0] > 60.0


RVIZ = np.diag([0.25, 0.25, 0.0685])  # what "2D Pose Estimate" sends


def test_given_pose_settles_two_equal_places(prepare):
    vectors = random_descriptors(40)
    vectors[30] = vectors[12]
    follower = Follower(prepare(vectors))
    assert follower.sees(vectors[12], 1).estimate.confidence < 0.6
    assert follower.ranker.start_at(np.array([301.0, -2.0, 0.0]), RVIZ) == 6
    answer = follower.sees(vectors[12], 2)
    assert answer.rows[0] == 30
    assert answer.decision.accepted


def test_given_pose_that_is_wrong_is_overruled_by_images(prepare):
    vectors = random_descriptors(40)
    follower = Follower(prepare(vectors))
    assert follower.ranker.start_at(np.array([20.0, 0.0, 0.0]), RVIZ)
    *_, last = (follower.sees(vectors[row], row) for row in range(30, 34))
    assert last.rows[0] == 33
    assert last.decision.accepted


def test_given_direction_tells_places_of_one_spot_apart(prepare):
    vectors = random_descriptors(4)
    vectors[1] = vectors[0]
    prepared = prepare(vectors, np.array([[0.0, 0, 0], [0.5, 0, 0], [90, 0, 0], [99, 0, 0]]))
    prepared.places = prepared.places._replace(yaw_rad=np.array([0.0, np.pi, np.nan, np.nan]))
    follower = Follower(prepared)
    for yaw_rad, row in ((0.1, 0), (-3.1, 1)):
        assert follower.ranker.start_at(np.array([0.25, 0.0, yaw_rad]), RVIZ) == 2
        assert follower.sees(vectors[0], 1).rows[0] == row


def test_given_pose_far_from_every_place_changes_nothing(prepare):
    vectors = random_descriptors(40)
    follower = Follower(prepare(vectors))
    first = follower.sees(vectors[10], 1)
    assert follower.ranker.start_at(np.array([0.0, 500.0, 0.0]), RVIZ) == 0
    assert follower.sees(vectors[10], 2).estimate.confidence == first.estimate.confidence
