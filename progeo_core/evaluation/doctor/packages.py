"""Which packages are installed, and what the missing ones would be for."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Iterator
from importlib import metadata

from progeo_core.evaluation.doctor.finding import Finding, State, good
from progeo_core.versions import package_version

# Module, distribution, what does not work without it.
_NEEDED = (
    ("torch", "torch", "models"),
    ("open_clip", "open_clip_torch", "CLIP models"),
    ("torchvision", "torchvision", "CLIP models and training"),
    ("faiss", "faiss-cpu", "maps"),
    ("cv2", "opencv-python-headless", "images"),
    ("poselib", "poselib", "camera poses"),
    ("rosbags", "rosbags", "bags"),
)
_OPTIONAL = (
    ("onnxruntime", "onnxruntime", "a faster runtime on a CPU", "pip install onnx onnxruntime"),
    ("onnx", "onnx", "the export of models", "pip install onnx onnxruntime"),
    ("gtsam", "gtsam", "the pose graph node", "pip install 'gtsam>=4.3'"),
    ("pillow_heif", "pillow-heif", "HEIC photos of phones", "pip install pillow-heif"),
)


def check_packages() -> Iterator[Finding]:
    """Yield what is installed, first the package itself."""
    yield good("progeo", f"{package_version()}, Python {platform.python_version()}")
    found = []
    for module, distribution, purpose in _NEEDED:
        if importlib.util.find_spec(module) is None:
            fix = f"pip install '{distribution}'"
            yield Finding(distribution, State.PROBLEM, f"missing: needed for {purpose}", fix)
        else:
            found.append(f"{distribution} {_version(distribution)}".strip())
    yield good("packages", ", ".join(found))
    for module, distribution, purpose, fix in _OPTIONAL:
        if importlib.util.find_spec(module) is None:
            yield Finding(distribution, State.NOTE, f"not installed: it is for {purpose}", fix)
        else:
            yield good(distribution, f"{_version(distribution)}".strip() or "installed")


def _version(distribution: str) -> str:
    """Return a version, "" for a package that came another way, as with a ROS distribution."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
