"""What sensors do wrong, told to the localizer as a whole: it may get less sure, never wrong."""

import math
from typing import Any

import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.localization.localizer import Localizer
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.map.place_map import PlaceMap, Places

SECOND = 1_000_000_000
COUNT, SPACING_M = 60, 2.0
FINGERPRINT = ModelFingerprint("bad input", 128, "none", "ef" * 32)


class NoEncoder:
    fingerprint = FINGERPRINT

    def encode(self, images):
        raise NotImplementedError


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def scenery():
    """Describe a street: neighbours look alike, and its second half much like its first."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(COUNT + 1, 128))
    parts[30:] = 0.6 * parts[:31] + 0.8 * parts[30:]
    return unit(parts[:-1] + parts[1:])


PLACES = scenery()


def make_map(path, yaw_rad=None, cameras=("front",)):
    rig = len(cameras)
    position = np.tile(np.arange(COUNT)[:, None] * [SPACING_M, 0.0, 0.0], (rig, 1))
    yaw = np.full(COUNT, 0.0) if yaw_rad is None else yaw_rad
    names = [""] * (COUNT * rig)
    with PlaceMap.create(path, FINGERPRINT) as place_map:
        views = np.concatenate([PLACES, PLACES[:, ::-1]][:rig])
        columns = Places(
            position,
            np.tile(yaw, rig),
            np.zeros(COUNT * rig, np.int64),
            [camera for camera in cameras for _ in range(COUNT)],
            names,
            names,
            [None] * (COUNT * rig),
        )
        place_map.append(columns, views)
    return Localizer.open(path, NoEncoder(), LocalizerSettings(sequence=True))


@pytest.fixture
def localizer(tmp_path):
    return make_map(tmp_path / "street.progeo")


def images(first, last):
    """Return the rows that a drive passes and what its camera sees there, in worse light."""
    rng = np.random.default_rng(1)
    rows = np.arange(first, last)
    return rows, unit(PLACES[rows] + 0.24 * rng.normal(size=(len(rows), 128)))


def check(answers, rows):
    """No accepted answer is wrong, and every figure can be used."""
    for answer, row in zip(answers, rows, strict=True):
        assert np.isfinite(answer.estimate.position).all()
        assert np.isfinite(answer.estimate.covariance).all()
        assert np.linalg.eigvalsh(answer.estimate.covariance).min() > 0.0
        assert 0.0 <= answer.estimate.confidence <= 1.0
        if answer.accepted:
            assert abs(answer.estimate.position[0] - SPACING_M * row) <= 2 * SPACING_M


def true_odometry(step):
    return step * SECOND, [SPACING_M * step, 0.0, 0.0], 0.0


def jumping(step):
    stamp_ns, position, yaw = true_odometry(step)
    return stamp_ns, [position[0] + 500.0 * (step >= 8), 0.0, 0.0], yaw


def silent(step):
    return None if step >= 8 else true_odometry(step)


def stuck(step):
    return step * SECOND, [SPACING_M * min(step, 8), 0.0, 0.0], 0.0


def backward_in_time(step):
    stamp_ns, position, yaw = true_odometry(step)
    return stamp_ns - (7 * SECOND if step == 8 else 0), position, yaw


def not_a_number(step):
    stamp_ns, position, yaw = true_odometry(step)
    return stamp_ns, position if step % 2 else [math.nan] * 3, yaw


@pytest.mark.parametrize(
    "odometry", [true_odometry, jumping, silent, stuck, backward_in_time, not_a_number]
)
def test_bad_odometry_costs_no_wrong_answer_and_the_camera_is_not_lost(localizer, odometry):
    rows, views = images(5, 25)
    answers = []
    for step, view in enumerate(views, start=1):
        if (message := odometry(step)) is not None:
            localizer.odometry.add(*message)
        answers.append(localizer.localize_descriptor(view, step * SECOND, "front"))
    check(answers, rows)
    # Found before the fault at step 8, and not let go by it.
    assert any(answer.accepted for answer in answers[:7])
    assert all(answer.accepted for answer in answers[7:])


def test_images_out_of_order_change_nothing(tmp_path):
    rows, views = images(5, 25)
    answers: dict[bool, Any] = {}
    for disorder in (False, True):
        localizer = make_map(tmp_path / f"{disorder}.progeo")
        answers[disorder] = []
        for step, view in enumerate(views, start=1):
            answers[disorder].append(localizer.localize_descriptor(view, step * SECOND, "front"))
            if disorder and step > 3:
                late = localizer.localize_descriptor(views[0], step * SECOND - SECOND // 3, "front")
                assert late.estimate.confidence == answers[True][-1].estimate.confidence
    check(answers[True], rows)
    for plain, disturbed in zip(answers[False], answers[True], strict=True):
        np.testing.assert_allclose(plain.estimate.position, disturbed.estimate.position)


def test_duplicated_stamps_and_images_are_no_new_evidence(localizer):
    _, views = images(5, 12)
    for step, view in enumerate(views[:2], start=1):
        first = localizer.localize_descriptor(view, step * SECOND, "front")
        for _ in range(20):
            again = localizer.localize_descriptor(view, step * SECOND, "front")
            assert again.estimate.confidence == first.estimate.confidence


def test_same_stamp_on_every_image_still_finds_the_place(localizer):
    rows, views = images(5, 25)
    answers = [localizer.localize_descriptor(view, SECOND, "front") for view in views]
    check(answers, rows)


def test_camera_that_dies_leaves_the_other_one_to_go_on(tmp_path):
    localizer = make_map(tmp_path / "rig.progeo", cameras=("front", "rear"))
    rows, views = images(5, 25)
    answers = []
    for step, view in enumerate(views, start=1):
        if step < 8:
            localizer.localize_descriptor(view[::-1].copy(), step * SECOND, "rear")
        answers.append(localizer.localize_descriptor(view, step * SECOND, "front"))
    check(answers, rows)
    assert all(answer.accepted for answer in answers[-3:])


@pytest.mark.parametrize("silence_s", [1, 5, 40])
def test_camera_that_goes_black_is_not_believed(localizer, silence_s):
    _, views = images(5, 25)
    answers = [
        localizer.localize_descriptor(view, step * SECOND, "front")
        for step, view in enumerate(views, start=1)
    ]
    assert answers[-1].accepted
    # One black picture after the other, with noise so that no two are equal.
    rng = np.random.default_rng(2)
    black = unit(np.ones((20, 128)) + 0.3 * rng.normal(size=(20, 128)))
    dark = [
        localizer.localize_descriptor(view, (step + 20 + silence_s) * SECOND, "front")
        for step, view in enumerate(black)
    ]
    assert not dark[-1].accepted
    assert dark[-1].estimate.confidence < 0.5


def test_yaw_that_part_of_the_map_lacks_is_told_where_it_is_known(tmp_path):
    yaw = np.where(np.arange(COUNT) < 15, 0.5, math.nan)
    localizer = make_map(tmp_path / "part.progeo", yaw)
    rows, views = images(5, 28)
    answers = [
        localizer.localize_descriptor(view, step * SECOND, "front")
        for step, view in enumerate(views, start=1)
    ]
    check(answers, rows)
    known, unknown = answers[6].estimate, answers[-1].estimate
    assert known.yaw_rad == pytest.approx(0.5, abs=1e-6)
    assert known.covariance[5, 5] < 1.0
    assert math.isnan(unknown.yaw_rad)
    assert unknown.covariance[5, 5] >= 1e6
