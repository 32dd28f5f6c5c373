"""Commands of the pages run one after the other as they stand there, on few shipped images."""

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from progeo_core.cli import main
from test.test_docs import ROOT, commands, shell_words

pytestmark = pytest.mark.slow
DATA = ROOT / "progeo_core" / "demo_data"
# What a page's reader has: tables of images, each the first rows of one that ships.
TABLES = {
    "office.csv": "corridor/ref.csv",
    "lap2.csv": "corridor/query.csv",
    "drive.csv": "corridor/query.csv",
    "lab.csv": "office/map.csv",
    "campus_loop/records.csv": "campus_loop/records.csv",
    "corridor/ref.csv": "corridor/ref.csv",
    "corridor/query.csv": "corridor/query.csv",
    "office/map.csv": "office/map.csv",
}
FILES = {
    "camera.yaml": "office/camera_info.yaml",
    "office/camera_info.yaml": "office/camera_info.yaml",
    "office/images/0200.jpg": "office/images/0200.jpg",
    "photo.jpg": "corridor/query/0000003.jpg",
    "shots/one.jpg": "corridor/query/0000004.jpg",
    "photos/one.jpg": "corridor/query/0000005.jpg",
}
# A calibration needs twenty; for the rest a few are enough.
ROWS, CALIBRATION_ROWS = 8, 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all that the commands read."""
    folder = tmp_path_factory.mktemp("reader")
    for name, source in TABLES.items():
        with (DATA / source).open(newline="") as file:
            count = CALIBRATION_ROWS if name == "lap2.csv" else ROWS
            rows = list(csv.DictReader(file))[:count]
        paths = [column for column in ("image", "depth") if column in rows[0]]
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            for row in rows:
                inside = {one: str((DATA / source).parent / row[one]) for one in paths}
                writer.writerow({**row, **inside})
    for name, source in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DATA / source, folder / name)
    return folder


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Return what runs the commands of a page that begin with certain words."""
    monkeypatch.chdir(folder)

    def run_commands(page: str, pattern: str) -> int:
        found = [one for one in commands(ROOT / "docs" / page) if re.match(pattern, one)]
        for command in found:
            assert main(shell_words(command)[1:]) == 0, f"{command}: {capfd.readouterr().err}"
        return len(found)

    return run_commands


def test_the_pages_commands_run(run: Callable[[str, str], int], folder: Path) -> None:
    builds = r"progeo map build (?:office|lab)\.progeo --records"
    assert run("cli.md", builds) == 2
    shutil.copy(folder / "lab.progeo", folder / "old.progeo")
    assert run("cli.md", r"progeo (?:map (?:structure|view)|localize|evaluate|bag) ") == 7
    assert run("certainty.md", r"progeo map calibrate ") == 1
    shutil.copy(folder / "office.progeo", folder / "site.progeo")
    assert run("mapping.md", r"progeo map (?:view|info|prune) ") == 3
    assert run("models.md", r"progeo describe ") == 1
    for old in (*folder.glob("*.progeo"), *folder.glob("*.html")):
        old.unlink()
    shutil.rmtree(folder / "report")
    assert run("gallery.md", r"progeo (?!loops)") == 6
