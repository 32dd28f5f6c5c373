"""The programs of docs/python_api.md and of the README run as they are, on shipped images."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from progeo_core import build_map, load_encoder, read_image
from progeo_core.descriptors.encoder import Encoder
from progeo_core.records.image_source import source_of_records
from progeo_core.records.records import Records, read_records

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "python_api.md"
CORRIDOR = ROOT / "progeo_core" / "demo_data" / "corridor"
# Images of each pass that the programs see.
FRAMES = 30
# Loop closures need some more, to learn what all images of a drive share.
LONGER = 45
PHOTO = 20


def program(page: Path, heading: str) -> str:
    """Return the one block of Python below a heading."""
    below = re.split(rf"^## {heading}$", page.read_text(encoding="utf-8"), flags=re.M)[1]
    (code,) = re.findall(r"```python\n(.*?)```", below.split("\n## ")[0], re.S)
    return str(code)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return what a program prints that is started in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run_program(page: Path, heading: str) -> str:
        exec(compile(program(page, heading), f"{page.name}: {heading}", "exec"), {})
        return capsys.readouterr().out

    return run_program


def first_frames(name: str, frames: int) -> Records:
    return read_records(CORRIDOR / f"{name}.csv").select(slice(0, frames))


def save_arrays(folder: Path, *parts: Records) -> None:
    """Save the images and planar poses of records as the arrays that programs load."""
    images = [read_image(path) for part in parts for path in part.images]
    poses = [np.column_stack([part.position[:, :2], part.yaw_rad]) for part in parts]
    np.save(folder / "images.npy", np.stack(images))
    np.save(folder / "poses.npy", np.concatenate(poses))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    """Map the first pass of the corridor; the photo beside the map is of the second."""
    folder = tmp_path_factory.mktemp("office")
    source = source_of_records(CORRIDOR / "ref.csv").select(np.arange(FRAMES))
    build_map(folder / "office.progeo", source, encoder)
    shutil.copy(CORRIDOR / "query" / f"{PHOTO:07}.jpg", folder / "photo.jpg")
    return folder


def test_every_program_of_the_page_is_tested_here() -> None:
    *programs, trouble = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]
    assert trouble.startswith("What can go wrong")
    assert all(one.count("```python") == 1 for one in programs)
    source = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{one.splitlines()[0]}"' in source for one in programs)
    assert len(programs) == 5


@pytest.mark.slow
def test_a_photo_is_localized(run, office: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(office)
    printed = run(PAGE, "Localize a photo")
    east, north = map(float, re.findall(r"(-?[\d.]+) m", printed))
    assert (east, north) == pytest.approx((PHOTO, 0.0), abs=2.5)
    assert "/ref/" in printed.splitlines()[1]


@pytest.mark.slow
def test_the_readme_finds_the_photo_too(run, office: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(office)
    printed = run(ROOT / "README.md", "From your own images to a report")
    assert float(re.findall(r"[\d.]+", printed)[0]) == pytest.approx(PHOTO, abs=2.5)


def test_the_photos_of_a_folder_are_described(run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for frame in (10, 11, 60, 61):
        shutil.copy(CORRIDOR / "ref" / f"{frame:07}.jpg", tmp_path / "photos")
    lines = run(PAGE, "Describe a folder").splitlines()
    assert [line.split()[0::5][:2] for line in lines] == [
        ["0000010.jpg", "0000011.jpg"],
        ["0000011.jpg", "0000010.jpg"],
        ["0000060.jpg", "0000061.jpg"],
        ["0000061.jpg", "0000060.jpg"],
    ]


@pytest.mark.slow
def test_arrays_become_a_map(run, tmp_path: Path) -> None:
    save_arrays(tmp_path, first_frames("ref", FRAMES))
    printed = run(PAGE, "Build a map from arrays")
    assert f"{FRAMES} places added, 0 images skipped" in printed
    assert re.search(rf"extent \[\s*{FRAMES - 1}\.", printed)


@pytest.mark.slow
def test_an_encoder_of_ones_own_makes_a_map_and_is_measured(run, tmp_path: Path) -> None:
    shutil.copytree(CORRIDOR, tmp_path, dirs_exist_ok=True)
    printed = run(PAGE, "Use an encoder of your own")
    single, sequence = map(float, re.findall(r"Recall@1 ([\d.]+)", printed))
    assert "of 111 single images" in printed
    assert 0.3 < single < 1.0
    assert sequence > single


@pytest.mark.slow
def test_a_stream_closes_its_loops(run, tmp_path: Path) -> None:
    save_arrays(tmp_path, first_frames("ref", LONGER), first_frames("query", LONGER))
    lines = run(PAGE, "Close loops on your own stream").splitlines()
    pairs = [tuple(map(int, re.findall(r"image (\d+)", line))) for line in lines]
    assert len(pairs) > LONGER / 2
    assert all(abs(query - LONGER - match) <= 2 for query, match in pairs)
