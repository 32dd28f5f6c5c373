import re

import numpy as np
import pytest

from progeo_core.localization.telling_apart import how_places_are_told_apart
from test.progeo_core.localization.conftest import random_descriptors

COUNT = 40
POORLY = "this model tells this map's places apart poorly: "


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


STEPS = random_descriptors(COUNT + 1)
OVERLAPPING = unit(STEPS[1:] + STEPS[:-1])
EQUAL = np.tile(STEPS[:1], (COUNT, 1))


def few_numbers():
    """Return what a model sees that has three numbers for an image, which change as it drives."""
    numbers = np.cumsum(np.random.default_rng(7).normal(size=(COUNT, 3)), axis=0)
    return unit(numbers @ random_descriptors(3))


@pytest.mark.parametrize(
    ("vectors", "line"),
    [
        (OVERLAPPING, "0% of the places look more like one far away than like their neighbours"),
        (few_numbers(), rf"{POORLY}[1-9]\d% of the places look more like one far away than .*"),
        (
            random_descriptors(COUNT),
            "neighbours look no more alike than places far apart: they do not overlap, or .*",
        ),
        (EQUAL, "neighbours look no more alike than places far apart: they do not overlap, or .*"),
    ],
    ids=["overlapping", "few numbers", "unlike", "equal"],
)
def test_a_model_is_judged_by_neighbours_and_far_places(prepare, vectors, line):
    assert re.fullmatch(line, how_places_are_told_apart(prepare(vectors).place_map))


def test_one_place_says_nothing(prepare):
    assert how_places_are_told_apart(prepare(random_descriptors(1)).place_map) == ""
