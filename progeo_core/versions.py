"""Versions that belong beside every figure."""

from __future__ import annotations

import platform

_DISTRIBUTION = "progeo_ros"
_LIBRARIES = ("torch", "open_clip_torch", "faiss-cpu", "opencv-python-headless", "numpy")


def package_version() -> str:
    """Return the version of this package, "unknown" where it runs without being installed."""
    return _version(_DISTRIBUTION)


def versions() -> dict[str, str]:
    """Return the versions of this package, Python, and the libraries that figures depend on."""
    named = {_DISTRIBUTION: package_version(), "python": platform.python_version()}
    return named | {library: _version(library) for library in _LIBRARIES}


def _version(distribution: str) -> str:
    # Half of the time of the shortest command, which needs no version.
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
