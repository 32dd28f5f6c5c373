from importlib import metadata
from platform import python_version

import pytest

from progeo_core.versions import package_version, versions


def test_figures_name_what_they_depend_on():
    found = versions()
    assert found["progeo_ros"] == package_version() == metadata.version("progeo_ros")
    assert found["python"] == python_version()
    for library in ("torch", "open_clip_torch", "faiss-cpu", "opencv-python-headless", "numpy"):
        assert found[library] == metadata.version(library)


def test_what_is_not_installed_is_unknown(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert package_version() == "unknown"
    assert versions()["torch"] == "unknown"
