"""What is loaded at run time; the order of imports is checked by `make lint` (import-linter)."""

import subprocess
import sys

import pytest

NETWORKS = {"open_clip", "torch", "torchvision"}
HEAVY = {"cv2", "faiss", "matplotlib", "pyproj", "rclpy", "scipy", *NETWORKS}


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("progeo_core", HEAVY),
        ("progeo_core.cli", HEAVY),
        ("progeo_core.bags.reader", {"rclpy", *NETWORKS}),
        ("progeo_core.map.place_map", {"rclpy", *NETWORKS}),
        ("progeo_core.inference.loading", {"rclpy", *NETWORKS}),
        ("progeo_core.localization.localizer", {"rclpy", *NETWORKS}),
    ],
)
def test_heavy_packages_are_loaded_by_what_needs_them(module: str, banned: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({banned!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
