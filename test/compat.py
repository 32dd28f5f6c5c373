"""The oldest versions that setup.py allows: `make compat`, or `python -m test.compat`.

They are those of Ubuntu 24.04. Without `--python`, an environment of this Python takes torch and so
on from the one that runs this; with `--python python3.12`, everything comes from PyPI. With `--ros
jazzy` or `--ros kilted` beside it, that distribution's rclpy and Fast DDS come from there too, and
all tests of the nodes run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (
    "Pillow==10.2.0",
    "PyYAML==6.0.1",
    "click==8.1.6",
    "faiss-cpu==1.9.0",
    "matplotlib==3.7.3",  # the first that has wheels for Python 3.12
    "numpy==1.26.4",
    "opencv-python-headless==4.6.0.66",
    "poselib==2.0.5",
    "pyproj==3.6.1",
    "rich==13.7.1",
    "rosbags==0.11.0",
    "safetensors==0.4.0",
    "scipy==1.11.4",
    "typer==0.9.0",
    "zstandard==0.22.0",  # which that rosbags reads with
)
LARGE = ("open_clip_torch==3.0.0", "torch==2.6.0", "torchvision==0.21.0", "tensorboard")
_MESSAGES = (
    "diagnostic-msgs",
    "geometry-msgs",
    "nav-msgs",
    "sensor-msgs",
    "std-srvs",
    "visualization-msgs",
)
ROS = {
    distribution: (
        f"ros-rclpy~={rclpy}",
        f"ros-rmw-fastrtps-cpp~={rmw}",
        *(f"ros-{name}~={messages}" for name in _MESSAGES),
    )
    for distribution, rclpy, rmw, messages in (
        ("jazzy", "7.1.6", "8.4.3", "5.3.6"),
        ("kilted", "9.1.2", "9.3.3", "5.5.1"),
    )
}
TOOLS = ("hypothesis", "pytest", "pytest-timeout")
# Tests of what those versions do: arrays, images, files, maps, and all of the command line's help.
TESTS = (
    "test/progeo_core/commands/test_bag.py",
    "test/progeo_core/commands/test_map_build.py",
    "test/progeo_core/commands/test_typer_versions.py",
    "test/progeo_core/images/test_codec.py",
    "test/progeo_core/images/test_ros_encodings.py",
    "test/progeo_core/map/test_place_index.py",
    "test/progeo_core/map/test_place_map.py",
    "test/progeo_core/poses/test_pose_buffer.py",
    "test/progeo_core/records/test_records_csv.py",
    "test/progeo_core/test_geo.py",
)
_IMPORTS = """
import importlib, pkgutil, progeo_core
for module in pkgutil.walk_packages(progeo_core.__path__, "progeo_core."):
    importlib.import_module(module.name)
"""


def make_environment(folder: Path, python: str | None, ros: str | None) -> Path:
    """Return the interpreter of an environment with the oldest versions, made where it is not."""
    interpreter = folder / "bin" / "python"
    finished = folder / "finished"
    if finished.exists():
        return interpreter
    subprocess.run([python or sys.executable, "-m", "venv", str(folder)], check=True)
    # What those need, such as torch, is where the rest comes from.
    packages: tuple[str, ...]
    packages = (*OLDEST, *LARGE, *TOOLS) if python else ("--no-deps", *OLDEST)
    if ros:
        packages += (*ROS[ros], "gtsam<4.4", "onnx", "onnxruntime")
    pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    # What ROS's generators need has no wheel.
    subprocess.run([*pip, "--no-binary", "empy", *packages], check=True)
    if python is None:
        # After the environment's own packages on sys.path, so only what they lack comes from there.
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "zz_others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    finished.touch()
    return interpreter


def main() -> int:
    """Import everything, run the demo and the chosen tests; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m test.compat", description=__doc__)
    parser.add_argument("--python", help="interpreter of an environment that shares nothing")
    parser.add_argument("--ros", choices=ROS, help="distribution whose nodes are tested, too")
    wanted = parser.parse_args()
    if wanted.ros and not wanted.python:
        parser.error("--ros needs --python, as that environment has a ROS of its own")
    names = (Path(wanted.python).name if wanted.python else "shared", wanted.ros)
    folder = ROOT / ".compat" / "-".join(filter(None, names))
    interpreter = str(make_environment(folder, wanted.python, wanted.ros))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # A rclpy of PyPI that runs this says there that it has found its libraries.
    environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    demo = ["progeo_core.cli", "demo", "--no-ros", "--out", str(folder / "demo")]
    for arguments in (
        ["-c", _IMPORTS],
        ["-m", *demo],
        ["-m", "pytest", "-q", "-m", "not slow", *TESTS],
        *([["-m", "pytest", "-q", "test/progeo_ros"]] if wanted.ros else []),
    ):
        ended = subprocess.run([interpreter, *arguments], cwd=ROOT, env=environment, check=False)
        if ended.returncode:
            return ended.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
