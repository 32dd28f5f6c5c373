"""What requests name and responses say; the services themselves run in test_localizer_over_dds."""

import math
from pathlib import Path

import pytest

from progeo_core.errors import UsageError
from progeo_core.localization.answer import Localization
from progeo_ros.localizer_services import describe_answer, path_of_url


@pytest.mark.parametrize(
    "url",
    [
        "/maps/floor 1.progeo",
        "file:///maps/floor%201.progeo",
        "file://localhost/maps/floor%201.progeo",
    ],
)
def test_a_map_is_named_by_path_or_url(url: str) -> None:
    assert path_of_url(url) == Path("/maps/floor 1.progeo")


def test_a_package_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "share/ament_index/resource_index/packages/our_maps"
    marker.parent.mkdir(parents=True)
    marker.touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    (tmp_path / "share/our_maps").mkdir()
    pytest.importorskip("ament_index_python", reason="ROS has it, not every wheel of rclpy")
    assert path_of_url("package://our_maps/f.progeo") == tmp_path / "share/our_maps/f.progeo"
    with pytest.raises(UsageError, match="no package 'other'"):
        path_of_url("package://other/f.progeo")
    monkeypatch.delenv("AMENT_PREFIX_PATH")
    with pytest.raises(UsageError, match="no package 'our_maps'"):
        path_of_url("package://our_maps/f.progeo")


@pytest.mark.parametrize("url", ["", "https://example.org/m.progeo", "file://server/m.progeo"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="map_url"):
        path_of_url(url)


def test_an_answer_is_one_line_with_pose_and_certainty(answer: Localization) -> None:
    assert describe_answer(answer) == (
        "LOCALIZED: x 1.00, y 2.00, z 3.00 m, yaw 0.50 rad, latitude -27.5000000,"
        " longitude 153.0000000, confidence 0.95, standard deviation 0.73 m, by place (one place"
        " stands out: confidence 0.95)"
    )
    unturned = answer._replace(estimate=answer.estimate._replace(yaw_rad=math.nan), geodetic=None)
    assert "yaw" not in describe_answer(unturned)
    assert "latitude" not in describe_answer(unturned)
