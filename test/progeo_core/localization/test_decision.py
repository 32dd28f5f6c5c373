from progeo_core.localization.decision import (
    AMBIGUOUS,
    LOCALIZED,
    LOST,
    OFF_MAP,
    decide_belief,
    decide_image,
)


def test_image_is_accepted_from_the_threshold_on():
    assert decide_image(0.9, 0.9).accepted
    assert decide_image(0.9, 0.9).state == LOCALIZED
    verdict = decide_image(0.89, 0.9)
    assert (verdict.accepted, verdict.state) == (False, AMBIGUOUS)
    assert "0.89" in verdict.reason
    assert "0.90" in verdict.reason


def test_every_belief_has_a_state_and_a_reason_and_only_localized_is_accepted():
    states = {
        LOCALIZED: decide_belief(0.95, 0.01, 9, 0.9),
        OFF_MAP: decide_belief(0.2, 0.7, 9, 0.9),
        AMBIGUOUS: decide_belief(0.5, 0.1, 9, 0.9),
        LOST: decide_belief(0.1, 0.2, 9, 0.9),
    }
    for state, verdict in states.items():
        assert verdict.state == state
        assert verdict.accepted == (state == LOCALIZED)
        assert verdict.reason


def test_first_images_do_not_call_the_camera_off_the_map():
    assert decide_belief(0.1, 0.8, 1, 0.9).state == LOST


def test_a_confidence_just_below_the_threshold_does_not_look_equal_to_it():
    for decision in (decide_image(0.8999, 0.9), decide_belief(0.8999, 0.0, 9, 0.9)):
        assert "confidence 0.89 is below 0.90" in decision.reason
