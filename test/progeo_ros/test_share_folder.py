import sys
from pathlib import Path

import pytest

from progeo_core.errors import DataError
from progeo_ros.share_folder import shared_file


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
