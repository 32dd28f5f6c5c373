import numpy as np

from progeo_core.localization.decision import decide_image
from progeo_core.localization.ranking import Ranking
from progeo_core.poses.pose_estimate import PoseEstimate


def test_ranking_unpacks_in_the_order_that_the_localizer_reads():
    estimate = PoseEstimate(np.zeros(3), 0.0, np.eye(6), 0.95)
    decision = decide_image(0.95, 0.9)
    rows, similarity, given, decided = Ranking(np.arange(2), np.ones(2), estimate, decision)
    assert (list(rows), list(similarity)) == ([0, 1], [1.0, 1.0])
    assert given is estimate
    assert decided.accepted
