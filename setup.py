"""Package metadata, for pip and for colcon; the version is the one of package.xml."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = "progeo_ros"
ROOT = Path(__file__).resolve().parent


def files(pattern: str) -> list[str]:
    """Return the files that match, relative to the root, as setuptools wants them."""
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern) if path.is_file())


setup(
    name=NAME,
    version=ElementTree.parse(ROOT / "package.xml").findtext("version"),
    description="Visual localization and place recognition for ROS 2 with ProGEO descriptors",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="ProGEO for ROS 2 maintainers",
    maintainer="ProGEO for ROS 2 maintainers",
    maintainer_email="maintainers@example.org",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(include=["progeo_core*", "progeo_ros*"]),
    include_package_data=False,
    package_data={
        "progeo_core": [
            "models/*/*",
            "model/open_clip_configs/*.json",
            "demo_data/*/*",
            "demo_data/*/*/*",
            "evaluation/answer_explorer.*",
            "evaluation/loop_view/loop_page.*",
            "evaluation/map_view/map_page.*",
            "evaluation/report_template.html",
            "evaluation/training_page.html",
            "py.typed",
            "inference/xfeat*",
        ],
        "progeo_ros": ["py.typed"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", files("launch/*.launch.py")),
        (f"share/{NAME}/config", files("config/*")),
        (f"share/{NAME}/config/backends", files("config/backends/*")),
        (f"lib/{NAME}", files("resource/executables/*")),
        # In a workspace; pip puts its own script in the same place.
        ("bin", files("resource/bin/*")),
    ],
    # Oldest are the versions of Ubuntu 24.04; `make compat` runs the tests with them.
    install_requires=[
        "faiss-cpu>=1.9",  # 1.8 does not search among a part of its short codes
        "matplotlib>=3.6",
        "numpy>=1.26",
        "open_clip_torch>=3.0",  # earlier ones cannot fit a timm tower to another image size
        "opencv-python-headless>=4.6,<5",  # 5 renamed constants that cv_bridge uses
        "Pillow>=10.2",
        "poselib>=2.0.5",
        "pyproj>=3.6",
        "PyYAML>=6.0",
        "rich>=13.7",
        "rosbags>=0.11",
        "safetensors>=0.4",
        "scipy>=1.11",
        "tensorboard",
        "torch>=2.6",  # earlier releases let weights run code
        "torchvision>=0.21",
        "typer>=0.9",
    ],
    extras_require={
        # Photos of phones as they save them.
        "heic": ["pillow-heif"],
        # Real rclpy and Fast DDS from PyPI, for machines without a ROS distribution.
        "ros": [
            "ros-diagnostic-msgs",
            "ros-geometry-msgs",
            "ros-nav-msgs",
            "ros-rclpy",
            "ros-rmw-fastrtps-cpp",
            "ros-sensor-msgs",
            "ros-std-srvs",
            "ros-visualization-msgs",
        ],
        # The pose graph node.
        "slam": [
            "gtsam>=4.3; python_version >= '3.11'",
            # The newest release for Python 3.10 was built for numpy 1 and crashes with numpy 2.
            "gtsam>=4.2,<4.3; python_version < '3.11'",
            "numpy<2; python_version < '3.11'",
        ],
        # The map of a fleet, in a folder or an object store, and images described on many machines.
        "fleet": ["lancedb>=0.40", "ray[data]>=2.50"],
        # A faster runtime on a CPU.
        "onnx": ["onnx", "onnxruntime"],
        # colcon runs pytest only where this extra names it.
        "test": [
            "colcon-common-extensions",
            "evo",
            "hypothesis",
            "kornia>=0.9; python_version >= '3.11'",  # the published network, to compare with
            "moto[server]",  # an object store that speaks S3
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "setuptools",
        ],
        "lint": ["import-linter", "mypy", "pre-commit", "ruff", "types-PyYAML"],
    },
    entry_points={
        "console_scripts": [
            "progeo = progeo_core.commands.start:main",
            "progeo_localizer = progeo_ros.start:localizer",
            "progeo_pose_graph = progeo_ros.start:pose_graph",
            "progeo_pose_relay = progeo_ros.start:pose_relay",
        ],
    },
    zip_safe=False,
)
