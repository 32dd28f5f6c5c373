from pathlib import Path

import numpy as np
import pytest

from progeo_core.dataset.place_classes import PlaceClassSettings
from progeo_core.errors import DataError
from progeo_core.train.training_set import read_training_set

SETTINGS = PlaceClassSettings(N=1, L=1, groups_num=1, min_images_per_class=2)


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_zones_and_local_metres_never_share_a_class(tmp_path: Path) -> None:
    zones = ("32@U", "33@U", "33@H", "@")
    names = [f"@1@1@{zone}@@@{number}@@45@.jpg" for zone in zones for number in range(2)]
    training_set = read_training_set(touch(tmp_path / "train", *names), SETTINGS)
    (group,) = training_set.groups
    assert group.class_id[:, 0].tolist() == [-33, 0, 32, 33]
    assert str(training_set) == "8 images; 8 of them in 4 classes of 1 groups"
    for label in range(4):
        images = [training_set.images[int(row)].name for row in group.images_of(label)]
        assert len({name.split("@")[3:5][0] for name in images}) == 1


def test_labels_do_not_depend_on_the_folders_that_hold_the_images(tmp_path: Path) -> None:
    east = np.random.default_rng(0).uniform(0, 100, 60)
    names = [f"@{x:.3f}@5@32@U@@@@@90@.jpg" for x in east]
    touch(tmp_path / "one", *names)
    for number, name in enumerate(names):
        touch(tmp_path / "two" / str(number % 7), name)
    one, two = (read_training_set(tmp_path / name, SETTINGS) for name in ("one", "two"))
    for (a,), (b,) in [(one.groups, two.groups)]:
        np.testing.assert_array_equal(a.class_id, b.class_id)
        for label in range(len(a)):
            named = [
                sorted(training_set.images[int(row)].name for row in group.images_of(label))
                for training_set, group in ((one, a), (two, b))
            ]
            assert named[0] == named[1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("holiday.jpg", r"train/holiday.jpg|holiday.jpg: not an image name with '@' fields"),
        ("@east@1@32@U@@@@@45@.jpg", "@east@1.*rename the image to the form"),
        ("@@1@32@U@@@@@45@.jpg", "train: 1 of 3 images have no position"),
        ("@1@1@32@U@@@@@@.jpg", "train: 1 of 3 images have no heading.* set alpha to 360"),
        ("@1@1@61@U@@@@@45@.jpg", "UTM zone '61' is not 1 to 60"),
    ],
)
def test_names_without_what_classes_need_are_refused(
    tmp_path: Path, name: str, message: str
) -> None:
    good = [f"@1@1@32@U@@@{number}@@45@.jpg" for number in range(2)]
    folder = touch(tmp_path / "train", *good)
    assert len(read_training_set(folder, SETTINGS).images) == 2
    with pytest.raises(DataError, match=message):
        read_training_set(touch(folder, name), SETTINGS)


def test_a_folder_without_a_class_names_the_folder_and_the_settings(tmp_path: Path) -> None:
    names = [f"@{100 * number}@1@32@U@@@@@45@.jpg" for number in range(5)]
    with pytest.raises(DataError, match=r"train: no class has 2 images.*lower min_images_per_cla"):
        read_training_set(touch(tmp_path / "train", *names), SETTINGS)
