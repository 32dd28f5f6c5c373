import re

import pytest

from progeo_core.map.place_map import PlaceMap


@pytest.mark.slow
def test_two_drives_are_aligned_and_merged(progeo, corridor_drives, tmp_path):
    first, second, _ = corridor_drives
    out = tmp_path / "site.progeo"
    result = progeo("fleet", "align", first, second, "--out", out, "--device", "cpu")
    assert result.code == 0
    assert f"frame of {second} in that of {first}" in result.out
    x, y = map(float, re.search(r"x, y, z +(\S+), (\S+),", result.out).groups())
    assert abs(x - 30.0) < 2.0
    assert abs(y + 12.0) < 2.0
    assert re.search(r"places that agree +\d+ of 28", result.out)
    with PlaceMap.open(out) as merged:
        assert len(merged) == 56
        # The second drive lies along the first one now.
        assert abs(merged.places().position[:, 1]).max() < 2.0


def test_bad_use_is_told_before_anything_is_compared(progeo, filled_map, tmp_path):
    result = progeo("fleet", "align", filled_map, filled_map, "--near", "1,2")
    assert result.code == 2
    assert "--near 1,2: give metres and degrees as X,Y,YAW" in result.error
    missing = progeo("fleet", "align", filled_map, tmp_path / "none.progeo")
    assert "none.progeo" in missing.error
    taken = progeo("fleet", "align", filled_map, filled_map, "--out", filled_map)
    assert "exists already" in taken.error
