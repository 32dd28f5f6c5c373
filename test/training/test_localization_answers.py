"""Answers to a scene by constants under trial."""

from pathlib import Path

import pytest

TRAINING = Path(__file__).resolve().parents[2] / "training"


@pytest.fixture
def answers(monkeypatch):
    """Return the module."""
    monkeypatch.syspath_prepend(str(TRAINING))
    import localization_answers

    return localization_answers


def test_robot_that_stops_shows_the_same_for_a_while_and_drives_on(answers):
    times = answers.Times
    assert [list(times.UNKNOWN.seconds(number)) for number in (0, 8)] == [[0], [0]]
    driven = [second for number in range(17) for second in times.EVERY_SECOND.seconds(number)]
    assert driven == list(range(1, 18))
    shown = [times.WITH_STOPS.seconds(number) for number in range(17)]
    # Every second has an image, none of them two.
    assert [second for seconds in shown for second in seconds] == list(range(1, 30))
    assert [number for number, seconds in enumerate(shown) if len(seconds) > 1] == [7, 15]
    assert len(shown[7]) == 7


def test_a_mode_is_named_by_what_it_knows(answers):
    modes = (
        answers.Mode(False, False),
        answers.Mode(True, True),
        answers.Mode(True, True, answers.Times.WITH_STOPS),
        answers.Mode(True, False, answers.Times.EVERY_SECOND, answers.Odometry.TRUE),
    )
    assert [str(mode) for mode in modes] == [
        "single image",
        "sequence, verified",
        "sequence, verified, 1 Hz, stops",
        "sequence, 1 Hz, true odometry",
    ]


def test_a_mode_reads_the_constants_of_what_it_does(answers):
    usual = answers.Constants()
    changed = answers.Constants(
        usual.single._replace(sharpness=1.0),
        usual.sequence._replace(leave_rate=0.5),
        usual.verification._replace(slope=1.0),
    )
    assert answers.Mode(False, False).read(changed) == usual._replace(single=changed.single)
    assert answers.Mode(True, False).read(changed) == usual._replace(sequence=changed.sequence)
    assert answers.Mode(True, True).read(changed) == changed._replace(single=usual.single)
