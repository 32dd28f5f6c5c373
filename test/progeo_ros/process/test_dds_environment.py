import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from progeo_core.errors import DataError
from progeo_ros.process.dds_environment import (
    dds_environment,
    free_domain_id,
    profile_variable,
    shared_file,
)

DOMAINS = "progeo_ros.process.dds_environment._DOMAINS"


@pytest.fixture
def _released(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give back the domains that a test has taken."""
    taken: list[socket.socket] = []
    monkeypatch.setattr("progeo_ros.process.dds_environment._claims", taken)
    yield
    for claim in taken:
        claim.close()


@pytest.mark.usefixtures("_released")
@pytest.mark.parametrize("participant", [0, 1])
def test_a_domain_in_use_is_not_given_again(
    monkeypatch: pytest.MonkeyPatch, participant: int
) -> None:
    # Other programs of this machine may use some domain at any time, not all of ten.
    monkeypatch.setattr(DOMAINS, range(91, 101))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        domain = next(domain for domain in range(91, 101) if is_bound(taken, domain, participant))
        assert domain not in {free_domain_id() for _ in range(5)}


def is_bound(probe: socket.socket, domain: int, participant: int) -> bool:
    try:
        probe.bind(("", 7400 + 250 * domain + 10 + 2 * participant))
    except OSError:
        return False
    return True


@pytest.mark.usefixtures("_released")
def test_two_that_ask_at_once_get_two_domains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before either has a participant."""
    mine = free_domain_id()
    monkeypatch.setattr(DOMAINS, [mine, *range(81, 91)])
    assert mine not in {free_domain_id() for _ in range(5)}
    print_domain = (
        "from progeo_ros.process import dds_environment as dds;"
        f"dds._DOMAINS = [{mine}, *range(71, 81)]; print(dds.free_domain_id())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", print_domain], capture_output=True, text=True, check=True
    ).stdout
    assert int(printed) != mine


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
