import dataclasses
import shlex

import numpy as np
import pytest

from progeo_core.dataset.class_counts import count_classes, suggest_classes
from progeo_core.dataset.place_classes import PlaceClassSettings, group_places
from progeo_core.records.cosplace_names import ImageName, format_name, read_names
from progeo_core.train.class_sampler import ClassSampler
from progeo_core.train.options import read_options


def columns_of(east, north, heading=(90.0,), zone=0):
    """Return names of images at every position with every heading."""
    letter = "U" if zone else ""
    return read_names(
        format_name(
            ImageName(float(x), float(y), zone, letter, heading_deg=turn, pano_id=str(number))
        )
        for number, (x, y) in enumerate(zip(east, north, strict=True))
        for turn in heading
    )


def street(length_m, spacing_m=0.5):
    east = np.arange(0.0, length_m, spacing_m)
    return east, np.zeros(len(east))


def town(blocks):
    """Return streets 10 m apart, seen in both directions."""
    lines = [street(10.0 * blocks, 0.9) for _ in range(blocks)]
    east = np.concatenate([line[0] for line in lines])
    north = np.concatenate([line[1] + 10.0 * number for number, line in enumerate(lines)])
    return columns_of(east, north, (0.0, 180.0))


@pytest.mark.parametrize(
    "chosen",
    [
        PlaceClassSettings(),
        PlaceClassSettings(M=5.0, N=2, L=1, groups_num=2, min_images_per_class=5),
        PlaceClassSettings(alpha=360.0, L=1, groups_num=3, min_images_per_class=5),
    ],
)
def test_counts_are_those_of_training(chosen):
    columns = town(30)
    groups = group_places(
        columns.east_m, columns.north_m, columns.heading_deg, columns.signed_zone(), chosen
    )
    counted = count_classes(columns, chosen)
    assert counted.smallest_group == min(map(len, groups))
    every = dataclasses.replace(chosen, groups_num=counted.groups)
    groups = group_places(
        columns.east_m, columns.north_m, columns.heading_deg, columns.signed_zone(), every
    )
    assert counted.classes == sum(map(len, groups))
    assert counted.images == sum(len(group.images) for group in groups)
    with pytest.raises(Exception, match=f"only {counted.groups} groups"):
        group_places(
            columns.east_m,
            columns.north_m,
            columns.heading_deg,
            columns.signed_zone(),
            dataclasses.replace(chosen, groups_num=counted.groups + 1),
        )


def test_places_are_cells_of_ground_in_a_zone():
    east, north = street(100.0)
    assert count_classes(columns_of(east, north, (0, 90)), PlaceClassSettings()).places == 10
    both = [columns_of(east, north, zone=zone) for zone in (32, 33)]
    joined = type(both[0])(*(np.concatenate(columns) for columns in zip(*both, strict=True)))
    assert count_classes(joined, PlaceClassSettings()).places == 20


@pytest.mark.slow
def test_a_town_is_trained_with_the_defaults():
    suited = suggest_classes(town(60))
    assert suited.settings == PlaceClassSettings()
    assert suited.flags() == ""


@pytest.mark.parametrize("length_m", [30.0, 120.0, 1000.0])
def test_training_takes_the_flags_for_a_small_site(length_m):
    """The flags go through the command line, the classes through the sampler of stage 2."""
    columns = columns_of(*street(length_m))
    suited = suggest_classes(columns)
    parsed = read_options("Test.", shlex.split(suited.flags()))
    assert parsed.places == suited.settings
    groups = group_places(
        columns.east_m,
        columns.north_m,
        columns.heading_deg,
        columns.signed_zone(),
        parsed.places,
    )
    batch = parsed.stage2.batch_size
    for group in groups:
        ClassSampler(len(group), batch, 1, (0,), slice(0, batch))
    assert batch >= min(32, length_m / 5.0)


def test_unknown_headings_make_whole_turns():
    east, north = street(200.0)
    suited = suggest_classes(columns_of(east, north, (np.nan,)))
    assert suited.settings.alpha == 360.0
    assert "--alpha 360" in suited.flags()
    assert suited.classes > 0


def test_single_images_make_no_class():
    suited = suggest_classes(columns_of([0.0, 500.0], [0.0, 0.0]))
    assert (suited.classes, suited.groups, suited.smallest_group) == (0, 0, 0)
    assert suited.places == 2
