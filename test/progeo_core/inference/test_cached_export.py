from pathlib import Path

import pytest

from progeo_core.errors import DataError, ProgeoError
from progeo_core.inference.cached_export import CachedExport


def test_a_file_is_written_once_until_it_is_forgotten(tmp_path: Path) -> None:
    written = []

    def write(path: Path) -> None:
        written.append(path)
        path.write_text("network")

    path = tmp_path / "cache" / "network.onnx"
    export = CachedExport("tiny", path, write)
    assert export.file() == export.file() == path
    assert written == [path]
    export.forget()
    assert not path.exists()
    export.forget()
    assert export.file() == path
    assert written == [path, path]


def test_a_cache_that_cannot_be_made_is_left_alone(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    export = CachedExport("tiny", blocked / "network.onnx", lambda path: path.write_text("network"))
    assert export.file().read_text() == "network"
    assert [*tmp_path.iterdir()] == [blocked]


def test_a_network_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        raise RuntimeError("no such\n operator")

    export = CachedExport("tiny", tmp_path / "network.onnx", write)
    with pytest.raises(ProgeoError, match=r"tiny cannot be exported \(no such operator\): use"):
        export.file()


def test_what_says_itself_what_is_wrong_is_left_as_it_is(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        raise DataError("full disk")

    with pytest.raises(DataError, match=r"^full disk$"):
        CachedExport("tiny", tmp_path / "network.onnx", write).file()
