"""Running commands in this process, and the maps they look at."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from progeo_core.cli import main
from progeo_core.commands import console
from progeo_core.descriptors.encoder import Encoder
from progeo_core.map.build import build_map
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records


class Result(NamedTuple):
    """Exit code and output of one command."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """Return the one line that a failed command says."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("progeo: error: ")]
        assert self.err.splitlines()[-1] == line
        return line.removeprefix("progeo: error: ")


@pytest.fixture
def progeo(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Return a function that runs `progeo` with arguments."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(console.tables(), "width", 200)

    def run(*arguments: object) -> Result:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def campus_map(
    campus_loop: Path, small_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a map of the even campus frames, made with the small model; not to be changed."""
    records = read_records(campus_loop / "records.csv").select(slice(0, None, 2))
    path = tmp_path_factory.mktemp("maps") / "campus.progeo"
    build_map(path, FileSource(records), small_encoder)
    return path


@pytest.fixture
def few_records(campus_loop: Path, tmp_path: Path) -> Path:
    """Return a records.csv of six campus frames with absolute image paths."""
    lines = (campus_loop / "records.csv").read_text().splitlines()
    rows = [f"{campus_loop}/{line}" for line in lines[1:7]]
    path = tmp_path / "few.csv"
    path.write_text("\n".join([lines[0], *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def few_map(campus_loop, small_encoder, tmp_path_factory):
    """Return a folder with a map of six campus frames, not to be changed."""
    folder = tmp_path_factory.mktemp("few")
    records = read_records(campus_loop / "records.csv").select(slice(0, 6))
    build_map(folder / "few.progeo", FileSource(records), small_encoder)
    return folder


@pytest.fixture
def built(few_map, tmp_path):
    """Return the path of a map of the places of `few_records`."""
    shutil.copytree(few_map, tmp_path, dirs_exist_ok=True)
    return tmp_path / "few.progeo"
