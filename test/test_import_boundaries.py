"""Imports point one way: progeo_ros to progeo_core, train to model, never back."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROS = {
    "ament_index_python",
    "builtin_interfaces",
    "cv_bridge",
    "diagnostic_msgs",
    "geographic_msgs",
    "geometry_msgs",
    "launch",
    "launch_ros",
    "lifecycle_msgs",
    "nav_msgs",
    "progeo_ros",
    "rclpy",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "tf2_ros",
    "visualization_msgs",
}
HEAVY = {"cv2", "faiss", "matplotlib", "open_clip", "rclpy", "torch", "torchvision"}


def imported_modules(path: Path) -> set[str]:
    """Return the dotted names that a source file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def sources(folder: str) -> list[Path]:
    """Return the Python files below a folder of the project."""
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, folder
    return found


def offenders(folder: str, banned: set[str]) -> list[str]:
    """Return `file: module` for each banned import (a banned name covers what is below it)."""
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(folder)
        for name in sorted(imported_modules(path))
        if any(name == ban or name.startswith(f"{ban}.") for ban in banned)
    ]


def test_core_has_no_ros_import() -> None:
    assert offenders("progeo_core", ROS) == []


def test_model_does_not_import_training_or_commands() -> None:
    banned = {"progeo_core.train", "progeo_core.cli", "progeo_core.commands"}
    assert offenders("progeo_core/model", banned) == []


def test_only_the_model_and_training_import_torch() -> None:
    allowed = {"progeo_core/model", "progeo_core/train"}
    torch_users = offenders("progeo_core", {"torch", "torchvision", "open_clip"})
    assert torch_users, "the search finds nothing at all"
    assert [user for user in torch_users if not any(user.startswith(a) for a in allowed)] == []


def test_the_map_and_the_records_know_nothing_of_what_uses_them() -> None:
    above = {
        "progeo_core.localization.localizer",
        "progeo_core.evaluation.metrics",
        "progeo_core.model",
    }
    for name in ("geo", "records", "images", "place_map", "place_index", "consensus"):
        found = imported_modules(ROOT / "progeo_core" / f"{name}.py")
        assert not any(module.startswith(ban) for module in found for ban in above), name


@pytest.mark.parametrize(
    "module", ["progeo_core.cli", "progeo_core.localization.localizer", "progeo_core.bags.reader"]
)
def test_the_core_starts_without_torch(module: str) -> None:
    heavy = HEAVY if module == "progeo_core.cli" else {"open_clip", "rclpy", "torch"}
    code = f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
