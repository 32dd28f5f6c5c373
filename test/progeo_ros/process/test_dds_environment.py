import socket
import sys
from pathlib import Path

import pytest

from progeo_core.errors import DataError
from progeo_ros.process.dds_environment import (
    dds_environment,
    free_domain_id,
    profile_variable,
    shared_file,
)


def test_a_domain_in_use_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        taken = free_domain_id()
        participant.bind(("", 7400 + 250 * taken + 10))
        # Other programs of this machine may use some domain at any time, not all of ten.
        few = [domain for domain in range(taken, taken + 10) if domain <= 100]
        monkeypatch.setattr("progeo_ros.process.dds_environment._DOMAINS", [*few, *range(1, 11)])
        assert taken not in {free_domain_id() for _ in range(50)}


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


def test_the_source_tree_has_its_own_files() -> None:
    assert shared_file("config/localize.yaml").read_text(encoding="utf-8").startswith("#")


def test_workspaces_and_the_virtual_environment_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, environment = tmp_path / "install", tmp_path / "venv"
    for prefix, name in ((workspace, "ours.yaml"), (environment, "theirs.yaml")):
        folder = prefix / "share" / "progeo_ros" / "config"
        folder.mkdir(parents=True)
        (folder / name).touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/opt/ros/kilted:{workspace}")
    monkeypatch.setattr(sys, "prefix", str(environment))
    assert shared_file("config/ours.yaml").is_relative_to(workspace)
    assert shared_file("config/theirs.yaml").is_relative_to(environment)
    with pytest.raises(DataError, match=r"config/nobodys\.yaml: not in"):
        shared_file("config/nobodys.yaml")
