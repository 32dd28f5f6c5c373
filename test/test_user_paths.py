"""What README tells three users to type, on shipped images: recordings, photos, a data set."""

import csv
import dataclasses
import re
import shlex
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from markdown_it import MarkdownIt

from progeo_core.bags.writer import write_bag
from progeo_core.cli import main
from progeo_core.demo import campus_loop
from progeo_core.geo import Datum, Frame, wgs84_from_enu
from progeo_core.records.records import Records
from test.corridor_dataset import CORRIDOR, link_as_place

README = Path(__file__).resolve().parent.parent / "README.md"
DATUM = Datum(48.137, 11.575, 0.0)
IMAGES = 6
_GPS_IFD = 0x8825


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Return what runs the block of README that begins with a command; gives its output."""
    monkeypatch.chdir(tmp_path)
    blocks = [one.content for one in MarkdownIt().parse(README.read_text("utf-8")) if one.content]

    def run(first: str) -> str:
        (block,) = [one for one in blocks if one.startswith(f"{first}")]
        assert len(block.splitlines()) == 3
        for line in block.splitlines():
            _, *words = shlex.split(line, comments=True)
            assert main(words) == 0, capfd.readouterr().err
        return capfd.readouterr().out

    return run


def on_earth(records: Records) -> Records:
    """Return the first images with latitudes and longitudes."""
    few = records.select(slice(0, IMAGES))
    geodetic = wgs84_from_enu(few.position, DATUM)
    return dataclasses.replace(few, frame=Frame.WGS84, position=geodetic)


def save_photos(records: Records, paths: list[Path]) -> None:
    """Save images as JPEG with their position in EXIF."""
    for image, (lat, lon, _), path in zip(records.images, records.position, paths, strict=True):
        exif = PIL.Image.Exif()
        exif.get_ifd(_GPS_IFD).update({1: "N", 2: _dms(lat), 3: "E", 4: _dms(lon)})
        path.parent.mkdir(exist_ok=True)
        PIL.Image.open(image).convert("RGB").save(path, exif=exif)


def _dms(degrees: float) -> tuple[float, float, float]:
    minutes = degrees % 1.0 * 60.0
    return float(int(degrees)), float(int(minutes)), round(minutes % 1.0 * 60.0, 5)


def answers(report: Path) -> list[dict[str, str]]:
    assert "<canvas" in (report / "report.html").read_text("utf-8")
    with (report / "answers.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_an_engineer_maps_one_drive_and_evaluates_another(shell, tmp_path: Path) -> None:
    write_bag(tmp_path / "first_drive", on_earth(campus_loop().reference))
    write_bag(tmp_path / "second_drive", on_earth(campus_loop().queries))
    out = shell("progeo map build site.progeo first_drive")
    assert re.search(r"places in the map +6\n", out)
    assert re.search(r"datum +latitude 48\.13\d+°, longitude 11\.57\d+°", out)
    assert (tmp_path / "site.html").stat().st_size > 20_000
    rows = answers(tmp_path / "site_report")
    assert {row["run"] for row in rows} == {"single image", "sequence"}
    assert np.median([float(row["error_m"]) for row in rows]) < 5.0


@pytest.mark.slow
def test_a_hobbyist_learns_where_a_photo_was_taken(shell, tmp_path: Path) -> None:
    known, others = on_earth(campus_loop().reference), on_earth(campus_loop().queries)
    save_photos(known, [tmp_path / "photos" / f"{n}.jpg" for n in range(IMAGES)])
    save_photos(others, [tmp_path / "more_photos" / f"{n}.jpg" for n in range(IMAGES)])
    save_photos(others.select(slice(4, 5)), [tmp_path / "photo.jpg"])
    out = shell("progeo map build trip.progeo photos")
    found = re.search(r"on earth +latitude ([\d.]+)°, longitude ([\d.]+)°", out)
    assert found is not None
    np.testing.assert_allclose([*map(float, found.groups())], others.position[4, :2], atol=1e-4)
    assert len(answers(tmp_path / "trip_report")) == IMAGES


@pytest.mark.slow
def test_a_researcher_compares_two_models(shell, tmp_path: Path) -> None:
    for traverse, role in (("ref", "database"), ("query", "queries")):
        for number, image in enumerate(sorted((CORRIDOR / traverse).iterdir())[: 5 * IMAGES : 5]):
            link_as_place(image, tmp_path / "city" / role, number * 20)
    out = shell("progeo compare --database city")
    table, best = out.split("city against vlad.progeo")
    assert "mobilenetv2-gem" in table
    assert "mobilenetv2-vlad" in table
    assert "<svg" in (tmp_path / "models.svg").read_text("utf-8")
    recall = re.search(r"Recall@1 +([\d.]+)\n", best)
    assert recall is not None
    assert float(recall[1]) > 0.5
    assert len(answers(tmp_path / "vlad_report")) == IMAGES
