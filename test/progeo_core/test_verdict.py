from progeo_core.verdict import AMBIGUOUS, LOCALIZED, LOST, OFF_MAP, judge_belief, judge_image


def test_image_is_accepted_from_the_threshold_on():
    assert judge_image(0.9, 0.9).accepted
    assert judge_image(0.9, 0.9).state == LOCALIZED
    verdict = judge_image(0.89, 0.9)
    assert (verdict.accepted, verdict.state) == (False, AMBIGUOUS)
    assert "0.89" in verdict.reason
    assert "0.90" in verdict.reason


def test_every_belief_has_a_state_and_a_reason_and_only_localized_is_accepted():
    states = {
        LOCALIZED: judge_belief(0.95, 0.01, 9, 0.9),
        OFF_MAP: judge_belief(0.2, 0.7, 9, 0.9),
        AMBIGUOUS: judge_belief(0.5, 0.1, 9, 0.9),
        LOST: judge_belief(0.1, 0.2, 9, 0.9),
    }
    for state, verdict in states.items():
        assert verdict.state == state
        assert verdict.accepted == (state == LOCALIZED)
        assert verdict.reason


def test_first_images_do_not_call_the_camera_off_the_map():
    assert judge_belief(0.1, 0.8, 1, 0.9).state == LOST
