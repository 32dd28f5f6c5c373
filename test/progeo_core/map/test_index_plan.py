from progeo_core.map.index_plan import EXACT_PLACES, IndexPlan, plan_index

MB = 1_000_000


def test_small_maps_are_exact() -> None:
    assert plan_index(0, 512, 256 * MB).is_exact
    assert plan_index(EXACT_PLACES, 512, 256 * MB).is_exact
    assert not plan_index(EXACT_PLACES + 1, 512, 256 * MB).is_exact


def test_large_maps_take_the_finest_codes_that_fit() -> None:
    assert plan_index(1_000_000, 512, 256 * MB) == IndexPlan(512, 2048, 128)
    assert plan_index(1_000_000, 512, 60 * MB) == IndexPlan(512, 2048, 64)
    assert plan_index(1_000_000, 512, 1 * MB) == IndexPlan(512, 2048, 32)
    assert plan_index(1_000_000, 512, 256 * MB).bytes_for(1_000_000) < 0.25 * 4 * 512 * 1_000_000


def test_little_memory_means_codes_for_small_maps_too() -> None:
    assert plan_index(15_000, 512, 5 * MB).codes
    assert plan_index(500, 512, 0).is_exact


def test_codes_are_as_many_as_divide_any_dimension() -> None:
    for dimension in (512, 640, 768, 1024, 1280, 100):
        plan = plan_index(100_000, dimension, 1000 * MB)
        assert dimension % plan.codes == plan.codes % 2 == 0
        assert plan.codes <= dimension / 4
    assert plan_index(100_000, 7, 1 * MB).is_exact


def test_a_plan_suits_maps_of_about_its_size() -> None:
    plan = plan_index(100_000, 512, 256 * MB)
    assert plan.suits(100_000, 256 * MB)
    assert plan.suits(200_000, 256 * MB)
    assert not plan.suits(1_000_000, 256 * MB)
    assert not plan.suits(EXACT_PLACES - 1, 256 * MB)
    assert not plan.suits(100_000, 2 * MB)
    # What fits a little memory fits more of it.
    assert plan_index(100_000, 512, 4 * MB).suits(100_000, 256 * MB)
    # And what fits none is taken as it is.
    assert plan_index(100_000, 512, 0).suits(100_000, 0)
