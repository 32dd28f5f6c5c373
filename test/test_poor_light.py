"""The images in poor light, and what verification makes of them."""

import csv
from pathlib import Path

import numpy as np

from progeo_core.images.codec import read_image
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.verification.epipolar_inliers import count_inliers
from progeo_core.verification.place_feature_cache import KnownPlace
from progeo_core.verification.query_view import QueryView
from test.poor_light import in_poor_light, main


def test_the_light_is_poorer_and_the_same_for_a_seed(corridor: Path) -> None:
    image = read_image(corridor / "query" / "0000005.jpg")
    dark, again, other = (in_poor_light(image, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(dark, again)
    assert dark.mean() < 0.8 * image.mean()
    assert abs(dark.astype(int) - other).mean() > 2.0


def test_the_right_place_still_fits_best_in_poor_light(campus_loop: Path) -> None:
    extractor = FeatureExtractor("cpu")

    def view(image, seed=None):
        seen = image if seed is None else in_poor_light(image, seed)
        return QueryView(seen, None, lambda one, side: extractor.find([one], side=side)[0])

    images = [
        read_image(campus_loop / "dataset" / f"image_{row}.png") for row in (10, 20, 30, 40, 50)
    ]
    places = []
    for image in images:
        points, descriptors, size = view(image).features
        unknown = np.full((len(points), 3), np.nan)
        places.append(KnownPlace(points, descriptors, size, unknown, None))
    for row, seed in ((11, 0), (21, 1), (31, 2), (41, 3), (51, 4)):
        query = view(read_image(campus_loop / "dataset" / f"image_{row}.png"), seed)
        inliers = [count_inliers(query, place) for place in places]
        assert np.argmax(inliers) == row // 10 - 1, inliers


def test_a_table_of_images_is_written_with_its_truth(corridor: Path, tmp_path: Path) -> None:
    lines = (corridor / "query.csv").read_text().splitlines()[:4]
    table = tmp_path / "few.csv"
    table.write_text("\n".join([lines[0], *(f"{corridor}/{line}" for line in lines[1:])]) + "\n")
    main([str(table), str(tmp_path / "dark")])
    with (tmp_path / "dark" / "few.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["00000.jpg", "00001.jpg", "00002.jpg"]
    assert read_image(tmp_path / "dark" / rows[0]["image"]).shape == (120, 160, 3)
    assert rows[2].keys() == dict.fromkeys(lines[0].split(",")).keys()
