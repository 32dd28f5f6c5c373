"""The package installs with pip and with colcon, and carries what a user needs offline."""

import ast
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
VERSION = ElementTree.parse(ROOT / "package.xml").findtext("version")


@pytest.fixture(scope="module")
def source_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tree, so that building leaves nothing behind in it."""
    copy = tmp_path_factory.mktemp("workspace") / "src" / "progeo_ros"
    unwanted = shutil.ignore_patterns(".*", "*.egg-info", "build", "install", "log", "logs", "test")
    shutil.copytree(ROOT, copy, ignore=unwanted)
    return copy


@pytest.fixture(scope="module")
def wheel(source_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel as pip does."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source_copy)], check=True)
    (built,) = folder.glob("progeo_ros-*.whl")
    return zipfile.ZipFile(built)


@pytest.mark.slow
@pytest.mark.slow
def test_the_wheel_carries_model_images_and_licences(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    for name in (
        "progeo_core/models/mobilenetv2-gem/model.safetensors",
        "progeo_core/models/mobilenetv2-gem/LICENSE",
        "progeo_core/models/mobilenetv2-vlad/model.safetensors",
        "progeo_core/inference/xfeat.safetensors",
        "progeo_core/models/progeo-tiny/model.safetensors",
        "progeo_core/models/progeo-tiny/LICENSE",
        "progeo_core/model/open_clip_configs/CLIP-MobileNetV2.json",
        "progeo_core/demo_data/corridor/ref.csv",
        "progeo_core/demo_data/corridor/LICENSE",
        "progeo_core/demo_data/campus_loop/records.csv",
        "progeo_core/demo_data/campus_loop/LICENSE",
        "progeo_core/demo_data/office/map.csv",
        "progeo_core/demo_data/office/camera_info.yaml",
        "progeo_core/demo_data/office/LICENSE",
        "progeo_core/py.typed",
    ):
        assert name in names
    assert sum(name.startswith("progeo_core/demo_data/corridor/query/") for name in names) == 111
    assert sum(name.startswith("progeo_core/demo_data/office/depth/") for name in names) == 79
    assert not any(name.startswith("test/") for name in names)


@pytest.mark.slow
def test_the_wheel_puts_ros_files_where_ros_looks(wheel: zipfile.ZipFile) -> None:
    data = f"progeo_ros-{VERSION}.data/data/"
    names = set(wheel.namelist())
    for name in (
        "share/ament_index/resource_index/packages/progeo_ros",
        "share/progeo_ros/package.xml",
        "share/progeo_ros/launch/localize.launch.py",
        "share/progeo_ros/config/localize.yaml",
        "share/progeo_ros/config/fastdds.xml",
        "share/progeo_ros/config/backends/robot_localization.yaml",
        "share/progeo_ros/config/backends/robot_localization.md",
        "lib/progeo_ros/progeo_localizer",
        "lib/progeo_ros/progeo_pose_relay",
    ):
        assert data + name in names
    mode = wheel.getinfo(data + "lib/progeo_ros/progeo_localizer").external_attr >> 16
    assert mode & stat.S_IXUSR, "ros2 run needs an executable file"


@pytest.mark.slow
def test_colcon_builds_an_executable_that_ros2_run_finds(source_copy: Path) -> None:
    workspace = source_copy.parent.parent
    colcon = Path(sys.executable).with_name("colcon")
    subprocess.run([str(colcon), "build"], cwd=workspace, check=True, capture_output=True)
    prefix = workspace / "install" / "progeo_ros"
    executable = prefix / "lib" / "progeo_ros" / "progeo_localizer"
    assert os.access(executable, os.X_OK)
    assert (prefix / "share/ament_index/resource_index/packages/progeo_ros").exists()
    assert (prefix / "share/progeo_ros/launch/localize.launch.py").exists()
    found = subprocess.run(
        ["bash", "-c", "source install/setup.bash && command -v progeo && progeo --version"],
        cwd=workspace,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert found == [str(prefix / "bin" / "progeo"), f"progeo {VERSION}"]


def imported_messages() -> set[str]:
    """Return the ROS packages that nodes and launch files import."""
    names = set()
    for path in [*ROOT.glob("progeo_ros/**/*.py"), *ROOT.glob("launch/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
            elif isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
    others = {"progeo_core", "progeo_ros", "numpy", "cv2", "rich"} | set(sys.stdlib_module_names)
    return names - others


def test_package_xml_names_what_the_node_imports() -> None:
    xml = ElementTree.parse(ROOT / "package.xml")
    named = {element.text for element in xml.findall("exec_depend")}
    assert imported_messages() | {"python3-numpy", "python3-opencv", "python3-rich"} <= named


def test_package_xml_is_what_ros_tools_read() -> None:
    package = pytest.importorskip("catkin_pkg.package", reason="colcon brings catkin_pkg")
    warnings: list[str] = []
    read = package.parse_package(str(ROOT / "package.xml"), warnings=warnings)
    read.validate(warnings=warnings)
    assert not warnings
    assert (read.name, read.version, read.package_format) == ("progeo_ros", VERSION, 3)
    assert read.get_build_type() == "ament_python"


def test_the_script_for_robots_says_what_is_missing(tmp_path: Path) -> None:
    def said(**environment: str) -> str:
        ended = subprocess.run(
            ["bash", str(ROOT / "config" / "robot" / "install.sh")],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 2
        return ended.stderr

    assert "source /opt/ros/jazzy/setup.bash" in said()
    assert "foxy is not known" in said(ROS_DISTRO="foxy")
    assert "TORCH is cpu, cuda or system" in said(ROS_DISTRO="jazzy", TORCH="gpu")
    # A distribution of rclpy alone.
    (tmp_path / "rclpy.py").touch()
    (tmp_path / "python3").write_text(f'#!/bin/sh\nexec "{sys._base_executable}" "$@"\n')  # type: ignore[attr-defined]
    (tmp_path / "python3").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    lacking = said(ROS_DISTRO="jazzy", PYTHONPATH=str(tmp_path), PATH=path)
    assert "diagnostic_msgs geometry_msgs nav_msgs sensor_msgs" in lacking
    assert f"rosdep install --from-paths {ROOT}" in lacking
