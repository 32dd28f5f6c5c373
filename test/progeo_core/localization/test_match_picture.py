import numpy as np
import pytest

from progeo_core.errors import ImageError
from progeo_core.images.codec import make_thumbnail, read_image
from progeo_core.localization.answer import Localization, Match
from progeo_core.localization.match_picture import draw_match
from progeo_core.poses.pose_estimate import PoseEstimate


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
        shown = picture[:240, left : left + 320].astype(float).mean(axis=(0, 1))
        np.testing.assert_allclose(shown, image.astype(float).mean(axis=(0, 1)), atol=3.0)


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
