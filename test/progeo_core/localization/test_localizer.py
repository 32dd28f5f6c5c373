import dataclasses
import math

import cv2
import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.geo import Datum, enu_from_wgs84, wrap_angle
from progeo_core.images.codec import load_images, make_thumbnail
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.answer import CameraFrame
from progeo_core.localization.decision import AMBIGUOUS, LOCALIZED
from progeo_core.localization.localizer import Localizer
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap, Places
from progeo_core.records.records import read_records

SECOND = 1_000_000_000


class SmallPictureEncoder:
    """Describe an image by the shapes in a 16x16 grey picture: quick, and made of real pixels."""

    fingerprint = ModelFingerprint("small picture", 256, "16x16 shapes", "cd" * 32)

    def encode(self, images):
        pictures = [
            cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (16, 16), interpolation=3)
            for image in images
        ]
        # Without its broad light: by that alone, places of the campus are hardly told apart.
        grey = [picture.astype(np.float32) for picture in pictures]
        shapes = [
            cv2.GaussianBlur(one, (0, 0), 0.7) - cv2.GaussianBlur(one, (0, 0), 3) for one in grey
        ]
        rows = np.stack(shapes).reshape(len(images), -1)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


ENCODER = SmallPictureEncoder()
ALONE = LocalizerSettings(sequence=False)


@pytest.fixture(scope="module")
def campus(campus_loop):
    records = read_records(campus_loop / "records.csv")
    return records, list(load_images(records.images))


@pytest.fixture
def campus_map(campus, tmp_path):
    path = tmp_path / "campus.progeo"
    records, images = campus
    fill(path, records, images, Datum(48.0, 11.0, 500.0))
    return path


def fill(path, records, images, datum=None):
    with PlaceMap.create(path, ENCODER.fingerprint, datum) as place_map:
        count = len(images)
        columns = Places(
            position=records.position,
            yaw_rad=records.yaw_rad,
            stamp_ns=np.zeros(count, np.int64),
            camera=[""] * count,
            traverse=[""] * count,
            image=[path.name for path in records.images],
            thumbnail=[None] * count,
        )
        place_map.append(columns, ENCODER.encode(images))


def random_map(path, position, seed=0, fingerprint=ENCODER.fingerprint):
    """Make a map of random descriptors at given positions; return the descriptors."""
    vectors = np.random.default_rng(seed).normal(size=(len(position), 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    count = len(position)
    with PlaceMap.create(path, fingerprint, None) as place_map:
        names = [""] * count
        nothing = np.full(count, math.nan), np.zeros(count, np.int64)
        place_map.append(Places(position, *nothing, names, names, names, [None] * count), vectors)
    return vectors


def test_image_of_the_map_is_localized_at_its_place(campus, campus_map):
    records, images = campus
    localizer = Localizer.open(campus_map, ENCODER, ALONE)
    answer = localizer.localize(CameraFrame(images[30], 7 * SECOND, "front"))
    assert (answer.stamp_ns, answer.camera) == (7 * SECOND, "front")
    assert answer.accepted
    assert answer.state == LOCALIZED
    assert answer.matches[0].image == "image_30.png"
    assert answer.matches[0].similarity > 0.5 > answer.matches[10].similarity
    assert np.linalg.norm(answer.estimate.position - records.position[30]) < 2.0
    assert abs(answer.estimate.yaw_rad - records.yaw_rad[30]) < 0.3
    assert len(answer.matches) == localizer.settings.top_k
    similarities = [match.similarity for match in answer.matches]
    assert similarities == sorted(similarities, reverse=True)
    assert min(answer.seconds) > 0.0


def test_datum_gives_latitude_and_longitude(campus, campus_map):
    _, images = campus
    answer = Localizer.open(campus_map, ENCODER, ALONE).localize(CameraFrame(images[5]))
    assert answer.geodetic is not None
    back = enu_from_wgs84([answer.geodetic], Datum(48.0, 11.0, 500.0))[0]
    np.testing.assert_allclose(back, answer.estimate.position, atol=1e-6)


def test_local_map_has_no_latitude(campus, tmp_path):
    records, images = campus
    fill(tmp_path / "local.progeo", records, images)
    localizer = Localizer.open(tmp_path / "local.progeo", ENCODER, ALONE)
    answer = localizer.localize(CameraFrame(images[5]))
    assert answer.geodetic is None


def test_map_of_another_model_is_refused_with_both_names(campus_map):
    other = SmallPictureEncoder()
    other.fingerprint = dataclasses.replace(ENCODER.fingerprint, architecture="large picture")
    with pytest.raises(ModelMismatchError, match=r"small picture.*large picture"):
        Localizer.open(campus_map, other)


def test_model_without_unit_length_is_refused(tmp_path):
    raw = SmallPictureEncoder()
    raw.fingerprint = dataclasses.replace(ENCODER.fingerprint, normalized=False)
    random_map(tmp_path / "raw.progeo", np.zeros((1, 3)), fingerprint=raw.fingerprint)
    with pytest.raises(ModelMismatchError, match="not normalised"):
        Localizer.open(tmp_path / "raw.progeo", raw)


@pytest.mark.parametrize("factor", [2.0, 0.0, math.nan])
def test_descriptor_of_another_length_is_refused(campus_map, factor):
    descriptor = np.full(256, factor / 16.0, np.float32)
    with pytest.raises(DataError, match="must be 1"):
        Localizer.open(campus_map, ENCODER, ALONE).localize_descriptor(descriptor)


def test_empty_map_is_refused(tmp_path):
    PlaceMap.create(tmp_path / "empty.progeo", ENCODER.fingerprint).close()
    with pytest.raises(DataError, match="holds no places"):
        Localizer.open(tmp_path / "empty.progeo", ENCODER)


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("position", [np.zeros((1, 3)), np.zeros((6, 3))])
def test_one_place_and_one_spot_answer_with_the_only_position(tmp_path, position, sequence):
    vectors = random_map(tmp_path / "spot.progeo", position)
    localizer = Localizer.open(
        tmp_path / "spot.progeo", ENCODER, LocalizerSettings(sequence=sequence)
    )
    answer = localizer.localize_descriptor(vectors[0])
    np.testing.assert_array_equal(answer.estimate.position, [0.0, 0.0, 0.0])
    assert len(answer.matches) == len(position)
    assert np.isfinite(answer.estimate.covariance).all()
    assert 0.0 <= answer.estimate.confidence <= 1.0


def test_two_places_that_look_alike_are_ambiguous(tmp_path):
    position = np.arange(40)[:, None] * [10.0, 0.0, 0.0]
    vectors = random_map(tmp_path / "twins.progeo", position)
    both = vectors[3] + vectors[30]
    answer = Localizer.open(tmp_path / "twins.progeo", ENCODER, ALONE).localize_descriptor(
        both / np.linalg.norm(both)
    )
    assert not answer.accepted
    assert answer.state == AMBIGUOUS
    assert "below" in answer.reason
    assert math.sqrt(answer.estimate.covariance[0, 0]) > 50.0


def test_sequence_follows_the_camera_and_starts_anew_on_reset(campus, campus_map):
    records, images = campus
    localizer = Localizer.open(campus_map, ENCODER)
    answers = [localizer.localize(CameraFrame(image)) for image in images[:8]]
    errors = [
        np.linalg.norm(answer.estimate.position - truth)
        for answer, truth in zip(answers, records.position, strict=False)
    ]
    # Small grey pictures are a poor model; the map's spacing is 3 m.
    assert np.median(errors) < 1.5
    assert max(answer.estimate.confidence for answer in answers) > 0.9
    localizer.reset()
    again = localizer.localize(CameraFrame(images[0]))
    assert again.estimate.confidence == answers[0].estimate.confidence


def test_given_pose_is_followed_on_from_by_a_sequence_alone(campus, campus_map):
    records, images = campus
    single = LocalizerSettings(sequence=False)
    with Localizer.open(campus_map, ENCODER, single) as localizer:
        pose = np.array([*records.position[30, :2], records.yaw_rad[30]])
        localizer.settings = ALONE
        with pytest.raises(UsageError, match=r"set localizer\.sequence"):
            localizer.start_at(pose, np.zeros((3, 3)))
        localizer.settings = LocalizerSettings(sequence=True)
        assert localizer.start_at(pose, np.zeros((3, 3))) > 0
        answer = localizer.localize(CameraFrame(images[30]))
    assert np.linalg.norm(answer.estimate.position - records.position[30]) < 5.0


def test_odometry_is_taken_whatever_it_says(campus, campus_map):
    _, images = campus
    localizer = Localizer.open(campus_map, ENCODER)
    for step, image in enumerate(images[:6], start=1):
        localizer.odometry.add(step * SECOND, np.array([3.0 * step, 0.0, 0.0]), 0.0)
        localizer.odometry.add(step * SECOND, np.full(3, math.nan), 0.0)
        answer = localizer.localize(CameraFrame(image, step * SECOND))
    assert answer.matches[0].image == "image_5.png"


def test_opened_localizer_closes_its_map_and_takes_a_path_as_text(campus, campus_map):
    _, images = campus
    with Localizer.open(str(campus_map), ENCODER, ALONE) as localizer:
        assert localizer.localize(CameraFrame(images[30])).accepted
    with pytest.raises(DataError, match="closed"):
        localizer.localize(CameraFrame(images[31]))


def test_localizers_of_one_prepared_map_follow_apart(campus, campus_map):
    _, images = campus
    with PlaceMap.open(campus_map) as place_map:
        prepared = PreparedMap(place_map, PlaceIndex.open(place_map))
        single = Localizer(prepared, ENCODER, ALONE)
        following = Localizer(prepared, ENCODER)
        alone = [single.localize(CameraFrame(image)).estimate for image in images[:5]]
        for image in images[:5]:
            following.localize(CameraFrame(image))
        again = single.localize(CameraFrame(images[4])).estimate
    assert again.confidence == alone[4].confidence


@pytest.mark.slow
@pytest.mark.parametrize("sequence", [False, True])
def test_verification_tells_places_apart_that_descriptors_do_not(campus, tmp_path, sequence):
    _, images = campus
    vectors = np.random.default_rng(0).normal(size=(10, 256)).astype(np.float32)
    vectors[8] = vectors[2]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    thumbnails: list[bytes | None] = [None] * 10
    thumbnails[2], thumbnails[8] = make_thumbnail(images[0]), make_thumbnail(images[40])
    path, names = tmp_path / "twins.progeo", [""] * 10
    nothing = np.full(10, math.nan), np.zeros(10, np.int64)
    with PlaceMap.create(path, ENCODER.fingerprint) as place_map:
        position = np.arange(10)[:, None] * [10.0, 0.0, 0.0]
        place_map.append(Places(position, *nothing, names, names, names, thumbnails), vectors)
    found = {}
    for budget_ms in (0, 1000):
        settings = LocalizerSettings(sequence=sequence, verification_ms=budget_ms)
        localizer = Localizer.open(path, ENCODER, settings)
        found[budget_ms] = localizer.localize_descriptor(vectors[2], 1, image=images[41]).estimate
    assert found[1000].confidence > found[0].confidence
    np.testing.assert_allclose(found[1000].position, position[8], atol=0.1)


@pytest.fixture
def even_map(campus, tmp_path):
    """Return a map of every other image of the drive, with thumbnails."""
    records, images = campus
    even = records.select(range(0, 72, 2))
    names = [""] * len(even)
    with PlaceMap.create(tmp_path / "pictures.progeo", ENCODER.fingerprint) as place_map:
        thumbnails = [make_thumbnail(image) for image in images[::2]]
        stamps = np.zeros(len(even), np.int64)
        columns = Places(even.position, even.yaw_rad, stamps, names, names, names, thumbnails)
        place_map.append(columns, ENCODER.encode(images[::2]))
    return tmp_path / "pictures.progeo"


@pytest.mark.slow
def test_calibrated_camera_refines_yaw_and_covariance_of_accepted_images(campus, even_map):
    records, images = campus
    intrinsics = Intrinsics(426, 240, 320.0, 320.0, 213.0, 120.0)
    settings = LocalizerSettings(sequence=False, min_confidence=0.5, verification_ms=10_000)
    localizer = Localizer.open(even_map, ENCODER, settings)
    plain, refined = (
        [localizer.localize(CameraFrame(image, camera="front", intrinsics=given)) for image in odd]
        for given, odd in ((None, images[1::2]), (intrinsics, images[1::2]))
    )
    rows = [row for row, answer in enumerate(plain) if answer.accepted]
    assert len(rows) > 15
    errors = {
        name: [
            abs(float(wrap_angle(answers[row].estimate.yaw_rad - records.yaw_rad[2 * row + 1])))
            for row in rows
        ]
        for name, answers in (("plain", plain), ("refined", refined))
    }
    assert np.median(errors["refined"]) < 0.5 * np.median(errors["plain"])
    for before, after in zip(plain, refined, strict=True):
        assert (after.accepted, after.estimate.confidence) == (
            before.accepted,
            before.estimate.confidence,
        )
        assert np.linalg.eigvalsh(after.estimate.covariance).min() > 0.0
    surer = [refined[row].estimate.covariance[5, 5] for row in rows]
    assert np.median(surer) < 0.1**2


def test_certain_image_that_fits_its_place_keeps_its_pose(campus, even_map):
    _, images = campus
    answers = [
        Localizer.open(
            even_map, ENCODER, LocalizerSettings(sequence=False, verification_ms=budget_ms)
        ).localize(CameraFrame(images[30]))
        for budget_ms in (0, 1000)
    ]
    assert all(answer.accepted for answer in answers)
    plain, verified = (answer.estimate for answer in answers)
    np.testing.assert_allclose(verified.position, plain.position, atol=0.01)
    assert verified.confidence >= plain.confidence


def test_two_cameras_of_one_stamp_are_evidence_for_one_pose(tmp_path):
    rng = np.random.default_rng(0)
    front, left = (rng.normal(size=(20, 256)).astype(np.float32) for _ in range(2))
    # Each camera sees the view of place 5 at another place, too.
    front[15], left[10] = front[5], left[5]
    vectors = np.concatenate([front, left])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    path, count = tmp_path / "rig.progeo", len(vectors)
    position = np.tile(np.arange(20)[:, None] * [4.0, 0.0, 0.0], (2, 1))
    names, cameras = [""] * count, ["front"] * 20 + ["left"] * 20
    nothing = np.full(count, math.nan), np.zeros(count, np.int64)
    with PlaceMap.create(path, ENCODER.fingerprint) as place_map:
        place_map.append(Places(position, *nothing, cameras, names, names, [None] * count), vectors)
    localizer = Localizer.open(path, ENCODER)
    alone = localizer.localize_descriptor(vectors[5], SECOND, "front")
    both = localizer.localize_descriptor(vectors[25], SECOND, "left")
    assert localizer.maps_several_cameras
    assert not alone.accepted
    assert both.accepted
    np.testing.assert_allclose(both.estimate.position, [20.0, 0.0, 0.0])
