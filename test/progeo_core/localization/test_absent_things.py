from progeo_core.localization.absent_things import ABSENT_THINGS
from progeo_core.localization.find_places import MAX_CHANCE


def test_texts_are_different_and_enough_for_a_chance_well_below_what_counts():
    assert len(set(ABSENT_THINGS)) == len(ABSENT_THINGS)
    assert all(text and text == text.strip() for text in ABSENT_THINGS)
    assert 1 / (1 + len(ABSENT_THINGS)) < MAX_CHANCE / 2
