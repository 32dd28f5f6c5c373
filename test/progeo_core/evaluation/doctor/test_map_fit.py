from progeo_core.evaluation.doctor.finding import State
from progeo_core.evaluation.doctor.map_fit import check_map


def test_a_map_of_the_model_is_good(office_map, small_model):
    found = {one.subject: one for one in check_map(office_map, str(small_model))}
    assert found[str(office_map)].text.endswith("places, made with small")
    assert found["model"].state is State.GOOD
    assert found["3-D points"].state is State.GOOD
    assert "map calibrate" in found["confidence"].fix
    assert "--datum" in found["datum"].fix


def test_another_model_is_a_problem(filled_map, small_model):
    found = {one.subject: one for one in check_map(filled_map, str(small_model))}
    assert found["model"].state is State.PROBLEM
    assert "--model tiny" in found["model"].fix
    assert found["datum"].state is State.GOOD


def test_a_map_that_is_not_there_or_empty_is_a_problem(
    tmp_path, make_map, make_places, unit_vectors, small_model
):
    empty = make_map("empty", make_places(0), unit_vectors(0))
    for path, said in ((tmp_path / "none.progeo", "no map here"), (empty, "holds no places")):
        (found,) = check_map(path, str(small_model))
        assert found.state is State.PROBLEM
        assert said in found.text
