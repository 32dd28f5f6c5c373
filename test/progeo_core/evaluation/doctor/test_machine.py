import pytest

from progeo_core.errors import UsageError
from progeo_core.evaluation.doctor.finding import State
from progeo_core.evaluation.doctor.machine import check_devices, check_runtimes


def test_the_processor_is_named():
    first = next(check_devices())
    assert first.subject == "cpu"
    assert "cores" in first.text


@pytest.mark.slow
def test_runtimes_are_timed(small_model):
    found = list(check_runtimes(str(small_model), "cpu"))
    assert "torch on cpu" in {one.subject for one in found}
    assert all("ms per image with small" in one.text for one in found if one.state is State.GOOD)


def test_unknown_models_and_devices_are_refused(small_model):
    with pytest.raises(UsageError, match="nothing-like-it"):
        list(check_runtimes("nothing-like-it", "cpu"))
    with pytest.raises(UsageError, match="device 'abacus'"):
        list(check_runtimes(str(small_model), "abacus"))
