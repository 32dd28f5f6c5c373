import subprocess
import sys
from pathlib import Path

import pytest
import rclpy

from progeo_ros.parameter_file import FILES, render
from progeo_ros.parameters import NodeParameters, parameter_fields
from progeo_ros.process.dds_environment import shared_file
from progeo_ros.process.guarded_node import GuardedNode
from progeo_ros.settings import NodeSettings


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_shipped_file_is_the_rendered_one(name: str, tmp_path: Path) -> None:
    shipped = shared_file(f"config/{name}").read_text(encoding="utf-8")
    command = [sys.executable, "-m", "progeo_ros.parameter_file"]
    assert shipped == render(name), f"write it again: {' '.join(command)} config"
    subprocess.run([*command, str(tmp_path)], check=True)
    assert (tmp_path / name).read_text(encoding="utf-8") == shipped


@pytest.mark.parametrize("name", FILES)
def test_every_parameter_is_explained(name: str) -> None:
    text = render(name)
    for item in parameter_fields(FILES[name][1]):
        assert item.description in text
        assert f"{item.name.rpartition('.')[2]}: " in text


def test_ros_reads_the_file_as_the_defaults(dds_domain: dict[str, str]) -> None:
    del dds_domain
    context = rclpy.Context()
    arguments = ["--ros-args", "--params-file", str(shared_file("config/localize.yaml"))]
    rclpy.init(context=context, args=arguments)
    node = GuardedNode("progeo_localizer", namespace="robot1", context=context)
    parameters = NodeParameters(node, is_configured=lambda: False, on_change=lambda: None)
    # An override was found for each, and each is what the code would have used anyway.
    assert set(node.given_parameters) == {item.name for item in parameter_fields()}
    assert parameters.get(NodeSettings) == NodeSettings()
    node.destroy_node()
    rclpy.try_shutdown(context=context)
