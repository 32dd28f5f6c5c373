"""The tables of the README say what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from progeo_core import cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table_keys(heading: str) -> list[str]:
    """Return the first code word of every table row below a heading, up to the next heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\|(?: \w+ \|)? `([^`]+)` \|", section, re.MULTILINE)


def command_names(command: typer.core.TyperGroup, prefix: str) -> list[str]:
    """Return the full names of all commands below a group."""
    names: list[str] = []
    for name, sub in command.commands.items():
        if isinstance(sub, typer.core.TyperGroup):
            names += command_names(sub, f"{prefix} {name}")
        elif not sub.hidden:
            names.append(f"{prefix} {name}")
    return names


def test_every_command_is_listed() -> None:
    group = typer.main.get_command(cli.app)
    assert isinstance(group, typer.core.TyperGroup)
    assert sorted(table_keys("Commands")) == sorted(command_names(group, "progeo"))


def test_every_parameter_is_listed_with_its_default_and_meaning() -> None:
    pytest.importorskip("rclpy", reason="parameters are declared through rclpy")
    from progeo_ros.parameters import parameter_fields

    fields = list(parameter_fields())
    listed = [key for key in table_keys("ROS interface") if not key.startswith(("~", "/"))]
    topics = ["image", "camera_info", "odom", "pose_reference", "fix_reference"]
    assert listed == [*topics, *(field.name for field in fields)]
    rows = README.split("<!-- parameters -->")[1].splitlines()
    for field in fields:
        row = next(line for line in rows if line.startswith(f"| `{field.name}` |"))
        default: Any = field.field.default
        shown = row.split("|")[2].strip(" `").strip('"')
        if isinstance(default, bool):
            assert shown == str(default).lower(), row
        elif isinstance(default, (int, float)):
            assert float(shown) == default, row
        else:
            assert shown.strip('["]') == (default if isinstance(default, str) else default[0]), row
        assert field.description in row
        assert f"| {field.change} |" in row


def test_every_topic_and_service_is_listed() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "progeo_ros").glob("*.py"))
    used = set(re.findall(r'"(~/\w+)"', source)) | {"/diagnostics"}
    headings = ("ROS interface", "Pose graph", "Other systems")
    tables = [key for heading in headings for key in table_keys(heading)]
    listed = {key for key in tables if key.startswith(("~", "/"))}
    assert listed == used


def test_every_launch_argument_is_listed() -> None:
    launch_file = (ROOT / "launch" / "localize.launch.py").read_text(encoding="utf-8")
    declared = re.findall(r'DeclareLaunchArgument\(\s*"(\w+)"', launch_file)
    assert table_keys("With a robot and a ROS distribution") == declared


def test_the_arguments_of_slam_are_listed() -> None:
    known = table_keys("With a robot and a ROS distribution")
    launch_file = (ROOT / "launch" / "slam.launch.py").read_text(encoding="utf-8")
    declared = re.findall(r'DeclareLaunchArgument\(\s*"(\w+)"', launch_file)
    listed = [key for key in table_keys("Pose graph") if not key.startswith(("~", "/"))]
    assert listed == [
        *("odom", "loop_closure", "pose"),
        *(name for name in declared if name not in known),
    ]


def test_the_topics_of_the_relay_are_listed() -> None:
    source = (ROOT / "progeo_ros" / "pose_relay_node.py").read_text(encoding="utf-8")
    created = re.findall(r'create_\w+\(\w+, "([~/\w]+)"', source)
    assert sorted(table_keys("Other systems")) == sorted(created)


def test_every_page_exists() -> None:
    for page in re.findall(r"\]\(((?!http|#)[^)]+\.md)\)", README):
        assert (ROOT / page).is_file(), page


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    assert named == {"demo", "test"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_picture_exists() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture
