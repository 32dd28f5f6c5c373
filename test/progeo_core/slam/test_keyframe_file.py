import contextlib
import gc
import logging
import os
import resource
import tempfile
from pathlib import Path

import pytest

from progeo_core.slam.keyframe_file import KeyframeFile


@pytest.fixture
def kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyframeFile:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return KeyframeFile()


def open_files(folder: Path) -> list[str]:
    """Return the open files of this process that are, or were, in a folder."""
    opened = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            opened.append(os.readlink(descriptor))
    return [name for name in opened if name.startswith(str(folder))]


def test_bytes_come_back_by_their_numbers(kept_on_disk: KeyframeFile) -> None:
    kept_on_disk.add(0, b"first")
    kept_on_disk.add(3, b"fourth")
    kept_on_disk.add(4, b"fifth!")
    assert [kept_on_disk.get(number) for number in range(6)] == [
        b"first",
        None,
        None,
        b"fourth",
        b"fifth!",
        None,
    ]


def test_the_file_has_no_name_and_goes_with_its_owner(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept_on_disk = KeyframeFile()
    assert kept_on_disk.get(0) is None
    kept_on_disk.add(0, b"picture")
    assert len(open_files(tmp_path)) == 1
    assert not list(tmp_path.iterdir())
    del kept_on_disk
    gc.collect()
    assert not open_files(tmp_path)


def test_a_full_disk_costs_features_and_is_said_once(
    kept_on_disk: KeyframeFile, caplog: pytest.LogCaptureFixture
) -> None:
    kept_on_disk.add(0, b"a" * 100)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        for number in (1, 2, 3):
            kept_on_disk.add(number, b"b" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept_on_disk.add(4, b"c" * 100)
    kept = [kept_on_disk.get(number) for number in range(5)]
    assert kept == [b"a" * 100, None, None, None, b"c" * 100]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "features of keyframes are not kept" in record.message


def test_a_folder_that_is_not_there_costs_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    kept_on_disk = KeyframeFile()
    kept_on_disk.add(0, b"picture")
    assert kept_on_disk.get(0) is None
    assert "No such file" in caplog.text
