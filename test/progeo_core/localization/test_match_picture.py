import numpy as np
import pytest

from progeo_core.errors import ImageError
from progeo_core.images.codec import make_thumbnail, read_image
from progeo_core.localization.answer import Localization, Match
from progeo_core.localization.match_picture import draw_match, draw_pair
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.verification.metric_localizer import MetricPose, SeenPlace


def answer(accepted=True, matches=1):
    match = Match(7, 0.5, np.zeros(3), 0.0, "a.jpg")
    estimate = PoseEstimate(np.zeros(3), 0.0, np.eye(6), 0.9)
    state = "LOCALIZED" if accepted else "AMBIGUOUS"
    return Localization(
        1, "", estimate, None, accepted, state, "", (match,) * matches, np.empty(0, np.float32)
    )


@pytest.fixture
def query(corridor):
    """Return a real image, 160 x 120."""
    return read_image(corridor / "query" / "0000000.jpg")


def test_query_stands_left_and_match_right(query, corridor):
    match = read_image(corridor / "ref" / "0000050.jpg")
    picture = draw_match(query, answer(), make_thumbnail(match))
    assert picture.shape == (268, 644, 3)
    for left, image in ((0, query), (324, match)):
        shown = picture[40:240, left : left + 320].astype(float).mean(axis=(0, 1))
        np.testing.assert_allclose(shown, image[20:].astype(float).mean(axis=(0, 1)), atol=3.0)


def metric_answer(query, place):
    """Return an answer by landmarks that are seen at shares of the query and of place 9."""
    best = SeenPlace(9, np.array(query, np.float32), np.array(place, np.float32))
    pose = CameraPose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    return answer()._replace(metric=MetricPose(pose, np.eye(6), 80, (7, 9), best))


def test_lines_join_what_both_images_show(query, corridor):
    match = make_thumbnail(read_image(corridor / "ref" / "0000050.jpg"))
    plain = draw_pair(query, answer(), match).astype(int)
    found = metric_answer([[0.25, 0.5], [0.25, 0.5]], [[0.75, 0.5], [0.75, 0.5]])
    assert found.shown_place == 9
    changed = np.abs(draw_pair(query, found, match).astype(int) - plain).sum(axis=2) > 60
    rows, columns = np.nonzero(changed)
    # One level line, from a quarter of the query to three quarters of the place.
    assert 115 <= rows.min() < rows.max() <= 125
    assert 75 <= columns.min() <= 80
    assert 324 + 240 <= columns.max() <= 324 + 245
    assert changed[120, 80 : 324 + 240].mean() > 0.9


def test_sides_are_named_and_the_caption_counts_landmarks(query, corridor):
    match = make_thumbnail(read_image(corridor / "ref" / "0000050.jpg"))
    found = metric_answer([[0.5, 0.9]], [[0.5, 0.9]])
    pair, picture = (draw(query, found, match) for draw in (draw_pair, draw_match))
    changed = (pair != picture[:240]).any(axis=2)
    assert changed[:20, :60].any()
    assert changed[:20, 324:400].any()
    assert not changed[30:].any()
    by_place = draw_match(query, answer(), match)
    assert (picture[240:] != by_place[240:]).any()


def test_a_place_without_picture_draws_no_lines(query):
    found = metric_answer([[0.5, 0.5]], [[0.5, 0.5]])
    assert (draw_pair(query, found, None) == draw_pair(query, answer(), None)).all()


def test_caption_shows_the_verdict_by_colour(query):
    thumbnail = make_thumbnail(query)
    accepted, withheld = (draw_match(query, answer(how), thumbnail) for how in (True, False))
    assert (accepted[:240] == withheld[:240]).all()
    mark = (slice(250, 258), slice(11, 18))
    red, _, blue = (accepted[mark].mean(axis=(0, 1)) - withheld[mark].mean(axis=(0, 1))).tolist()
    assert red < 0.0 < blue


def test_an_answer_without_match_is_drawn_alone(query):
    picture = draw_match(query, answer(matches=0), None)
    assert picture.shape[0] == 268
    assert picture.shape[1] >= 320


def test_a_tall_image_leaves_room_for_the_caption(query):
    picture = draw_match(np.ascontiguousarray(query[:, :20]), answer(), None)
    assert picture.shape[1] > 200


def test_a_damaged_thumbnail_is_named(query):
    with pytest.raises(ImageError, match="thumbnail of the map"):
        draw_match(query, answer(), b"")
