import numpy as np

from progeo_core.localization.look_alikes import share_of_look_alikes
from test.progeo_core.localization.conftest import random_descriptors

COUNT = 40


def share(prepare, descriptors):
    return share_of_look_alikes(prepare(descriptors), 15.0)


def walk(seed=3):
    """Return descriptors of places in a row, of which neighbours show much of the same."""
    steps = random_descriptors(COUNT + 2, seed=seed)
    seen = steps[:-2] + steps[1:-1] + steps[2:]
    return seen / np.linalg.norm(seen, axis=1, keepdims=True)


def test_a_corridor_has_no_look_alikes(prepare):
    assert share(prepare, walk()) == 0.0


def test_floors_of_one_plan_look_alike(prepare):
    # Each of two floors shows the same twenty doors.
    doors = np.tile(random_descriptors(COUNT // 2, seed=5), (2, 1))
    floors = 0.2 * random_descriptors(COUNT, seed=6) + doors
    alike = share(prepare, floors / np.linalg.norm(floors, axis=1, keepdims=True))
    assert alike > 0.3


def test_a_model_that_sees_little_makes_look_alikes_of_all_places(prepare):
    # A random network: all that it says of an image are three numbers.
    seen = np.random.default_rng(7).normal(size=(COUNT, 3)) @ random_descriptors(3)
    alike = share(prepare, (seen / np.linalg.norm(seen, axis=1, keepdims=True)).astype(np.float32))
    assert alike > 0.8


def test_places_that_share_nothing_are_not_alike(prepare):
    assert share(prepare, random_descriptors(COUNT)) < 0.1
    assert share(prepare, random_descriptors(1)) == 0.0
