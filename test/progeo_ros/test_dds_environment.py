import socket
from pathlib import Path

import pytest

from progeo_ros.dds_environment import dds_environment, free_domain_id, profile_variable
from progeo_ros.share_folder import shared_file


def test_a_domain_in_use_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("", 7400 + 250 * 11 + 10))
        monkeypatch.setattr("progeo_ros.dds_environment._DOMAINS", range(11, 13))
        assert {free_domain_id() for _ in range(20)} == {12}


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [
        ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("", "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_the_profile_goes_by_the_name_that_the_distribution_reads(
    distribution: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISTRO", distribution)
    assert profile_variable() == variable
    assert Path(dds_environment()[variable]) == shared_file("config/fastdds.xml")
    assert dds_environment()["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
