from progeo_core.evaluation.doctor.finding import Finding, State, good


def test_json_has_words_for_states():
    found = Finding("cuda", State.PROBLEM, "does not work", "install it")
    assert found.to_json() == {
        "subject": "cuda",
        "state": "problem",
        "text": "does not work",
        "fix": "install it",
    }
    assert good("cpu", "2 cores").to_json()["fix"] == ""
