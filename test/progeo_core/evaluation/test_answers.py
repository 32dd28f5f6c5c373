import dataclasses

import numpy as np

from progeo_core.errors import ImageError
from progeo_core.evaluation.answers import DescribedImage, answer_drive
from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.codec import read_image
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import read_records

IMAGE = np.zeros((8, 8, 3), np.uint8)


class NoEncoder:
    def __init__(self, fingerprint):
        self.fingerprint = fingerprint

    def encode(self, images):
        raise AssertionError("the images are described already")


def described(vectors):
    for row, vector in enumerate(vectors):
        yield DescribedImage(row, IMAGE, (row + 1) * 10**9, "", vector, 0.5)
    yield ImageError("last.jpg: the image is truncated")


def test_every_image_is_answered_singly_and_as_a_drive(
    make_map, make_places, unit_vectors, fingerprint
):
    # Eight values do not set thirty places apart.
    vectors = unit_vectors(30, dimension=64)
    model = dataclasses.replace(fingerprint, dimension=64)
    path = make_map("line", make_places(30), vectors, model=model)
    counted: list[int] = []
    with PlaceMap.open(path) as place_map:
        encoder = NoEncoder(place_map.fingerprint)
        # The image, always the same, shows none of the places.
        answers = answer_drive(
            place_map, encoder, described(vectors[:6]), verification_ms=0, advance=counted.append
        )
    assert answers.rows == [0, 1, 2, 3, 4, 5]
    assert answers.skipped == ["last.jpg: the image is truncated"]
    assert sum(counted) == 7
    assert [answer.matches[0].image for answer in answers.single] == [f"{n}.jpg" for n in range(6)]
    assert answers.single[0].seconds.encode == 0.5
    truth = [5.0, 2.5, 0.0]
    assert np.linalg.norm(answers.sequence[-1].estimate.position - truth) < 2.5
    assert answers.sequence[-1].reason != answers.single[-1].reason


def test_odometry_tells_that_a_drive_has_stopped(make_map, make_places, unit_vectors, fingerprint):
    model = dataclasses.replace(fingerprint, dimension=64)
    vectors = unit_vectors(30, dimension=64)
    position = make_places(30).position
    path = make_map("line", make_places(30), vectors, model=model)
    # Walls that look a little like every place, while a robot stands at the eighth one.
    walls = vectors.sum(axis=0) + 5.0 * unit_vectors(3, seed=1, dimension=64)
    walls /= np.linalg.norm(walls, axis=1, keepdims=True)
    seen = [*vectors[:8], *walls]

    def follow(odometry: bool) -> float:
        """Return how far off (m) the drive is in the end."""
        images = [
            one._replace(odometry=np.array([*position[min(row, 7), :2], 0.46])) if odometry else one
            for row, one in enumerate(described(seen))
            if isinstance(one, DescribedImage)
        ]
        with PlaceMap.open(path) as place_map:
            answers = answer_drive(place_map, NoEncoder(model), images, verification_ms=0)
        return float(np.linalg.norm(answers.sequence[-1].estimate.position - position[7]))

    assert follow(odometry=True) < 3.0 < follow(odometry=False)


def test_another_traverse_starts_anew(make_map, make_places, unit_vectors, fingerprint):
    model = dataclasses.replace(fingerprint, dimension=64)
    vectors = unit_vectors(30, dimension=64)
    path = make_map("line", make_places(30), vectors, model=model)
    drives = [*vectors[:6], *vectors[20:26]]

    def starts(second: str) -> list[str]:
        """Return why two parts of a drive are found where they are, each for the first time."""
        images = [
            one._replace(
                traverse="first" if row < 6 else second, odometry=np.array([2.5 * row, 0.0, 0.0])
            )
            for row, one in enumerate(described(drives))
            if isinstance(one, DescribedImage)
        ]
        with PlaceMap.open(path) as place_map:
            answers = answer_drive(place_map, NoEncoder(model), images, verification_ms=0)
        return [one.reason for one in answers.sequence if one.relocalized]

    assert ["found again" in why for why in starts("first")] == [False, True]
    assert ["found again" in why for why in starts("second")] == [False, False]


def test_local_features_of_an_image_are_found_once(office, office_map, small_encoder, monkeypatch):
    records = read_records(office / "query.csv").select(slice(0, 2))
    images = [read_image(path) for path in records.images]
    found: list[int] = []
    real = FeatureExtractor.find

    def counted(self, images, *options):
        found.append(len(images))
        return real(self, images, *options)

    monkeypatch.setattr(FeatureExtractor, "find", counted)
    with PlaceMap.open(office_map) as place_map:
        answers = answer_drive(
            place_map,
            small_encoder,
            [
                DescribedImage(row, image, 0, "", small_encoder.encode([image])[0])
                for row, image in enumerate(images)
            ],
            intrinsics=read_calibration(office / "camera_info.yaml"),
        )
    assert [answer.method for answer in answers.single + answers.sequence] == ["metric"] * 4
    assert found == [1, 1]


def test_sequence_is_left_out_where_nobody_asks(make_map, make_places, unit_vectors):
    vectors = unit_vectors(30)
    with PlaceMap.open(make_map("line", make_places(30), vectors)) as place_map:
        encoder = NoEncoder(place_map.fingerprint)
        answers = answer_drive(place_map, encoder, described(vectors[:2]), sequence=False)
    assert len(answers.single) == 2
    assert answers.sequence == []
