import numpy as np
import pytest

from progeo_core.verification.depth_scale import depth_scale, place_scale


def test_positions_that_err_do_not_change_the_scale():
    random = np.random.default_rng(0)
    places = []
    for _ in range(200):
        given = random.normal(size=(6, 3))
        # Depth that is 1.3 times too large sees the others that much farther away.
        noisy = given + random.normal(scale=0.1, size=(6, 3))
        places.append(place_scale(np.zeros(3), zip(noisy, 1.3 * given, strict=True)))
    found = depth_scale([*zip(random.normal(size=(200, 3)), places, strict=True)])
    assert found.factor == pytest.approx(1.3, rel=0.03)
    assert found.fault == f"depth is {found.factor:.2f} times what the poses say"


def along(sizes: list[float], step_m: float = 0.5) -> list[tuple[np.ndarray, float]]:
    """Return places along a line that tell these scales."""
    return [(np.array([step_m * row, 0.0, 0.0]), size) for row, size in enumerate(sizes)]


def test_nothing_is_said_of_a_few_places_of_right_depth_or_of_scatter():
    assert depth_scale([]).fault == ""
    assert depth_scale(along([np.nan] * 9 + [2.0])).fault == ""
    assert depth_scale(along([1.06] * 50)).fault == ""
    assert depth_scale(along([1.1] * 50)).fault != ""
    assert depth_scale(along([0.8, 0.9, 1.0, 1.1, 1.3, 1.6, 1.9])).fault == ""


def test_places_side_by_side_tell_only_gross_errors():
    """Poses that err by some centimetres together change the scale by a tenth, and agree."""
    assert depth_scale(along([0.9] * 8, step_m=0.1)).fault == ""
    assert (
        depth_scale(along([0.9] * 8, step_m=0.4)).fault == "depth is 0.90 times what the poses say"
    )
    assert "1000.00 times" in depth_scale(along([1000.0] * 8, step_m=0.05)).fault


def test_cameras_at_one_point_tell_no_scale():
    here = np.ones(3)
    assert np.isnan(place_scale(here, [(here + 0.01, here + 0.02)]))
    assert np.isnan(place_scale(here, []))
    # Landmarks that see others on the other side are of no size.
    assert np.isnan(place_scale(here, [(here + 1.0, here - 1.0)]))
