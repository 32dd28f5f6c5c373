from pathlib import Path

import numpy as np
import pytest

from progeo_core.errors import ImageError
from progeo_core.images import make_thumbnail, read_image
from progeo_core.localizer import Localization
from progeo_ros.match_image import draw_match


def test_query_and_match_stand_side_by_side_over_a_caption(
    answer: Localization, corridor: Path
) -> None:
    query, match = (read_image(path) for path in sorted((corridor / "query").glob("*.jpg"))[:2])
    picture = draw_match(query, answer, make_thumbnail(match))
    alone = draw_match(query, answer, None)
    assert picture.dtype == np.uint8
    assert picture.shape[0] == alone.shape[0] == 264
    assert picture.shape[1] == pytest.approx(2 * alone.shape[1], abs=4)
    np.testing.assert_array_equal(picture[:240, : alone.shape[1]], alone[:240])
    assert alone[240:].any(), "the caption is empty"


def test_the_caption_shows_whether_the_answer_was_accepted(answer: Localization) -> None:
    query = np.full((480, 640, 3), 128, np.uint8)
    accepted = draw_match(query, answer, None)[240:].reshape(-1, 3).max(axis=0)
    refused = draw_match(query, answer._replace(accepted=False), None)[240:].reshape(-1, 3)
    assert accepted[1] > accepted[0], "accepted is green"
    assert refused.max(axis=0)[0] > refused.max(axis=0)[1], "refused is amber"


def test_a_damaged_thumbnail_is_named(answer: Localization) -> None:
    with pytest.raises(ImageError, match="thumbnail of the map"):
        draw_match(np.zeros((48, 64, 3), np.uint8), answer, b"\xff\xd8 broken")
