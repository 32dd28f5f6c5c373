"""Take the pictures of docs/gallery.md from shipped images: `python docs/make_gallery.py`.

Runs the commands of that page, as they stand there, in a temporary folder, opens what they write in
Chromium, and keeps what the window shows.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from progeo_core.cli import main as progeo
from progeo_core.records.records import read_records

PAGE = Path(__file__).resolve().parent / "gallery.md"
TARGET = PAGE.with_suffix("")
DATA = Path(str(resources.files("progeo_core"))) / "demo_data"
# What one lap drifts by for each image (m), east and north.
DRIFT_M = (0.03, 0.05)


class Shot(NamedTuple):
    """A page or picture, the size of the window (pixels) that shows it, and its name here."""

    path: str
    width: int
    height: int
    name: str


SHOTS = (
    Shot("campus.html", 1280, 820, "map"),
    Shot("report/report.html", 1280, 1500, "report"),
    Shot("report/report.html", 400, 900, "report_phone"),
    Shot("laps.html", 1280, 860, "loops"),
)


def main() -> None:
    """Run the commands, and take the pictures."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("no Chromium is installed, which shows the pages: apt install chromium")
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for site in ("campus_loop", "corridor", "office"):
            os.symlink(DATA / site, site)
        write_two_laps(Path("laps.csv"))
        for line in re.findall(r"^progeo (.*)$", PAGE.read_text(encoding="utf-8"), re.M):
            if progeo(line.split()) != 0:
                raise SystemExit(f"progeo {line}: failed")
        for shot in SHOTS:
            take(browser, shot)
        save(Path("match/0200.jpg"), "match")


def write_two_laps(path: Path) -> None:
    """Write the campus loop as two laps, of the even and of the odd images, with some drift."""
    records = read_records(DATA / "campus_loop" / "records.csv")
    count = len(records)
    order = np.r_[0:count:2, 1:count:2]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "x_m", "y_m", "yaw_rad", "stamp_ns"])
        for number, row in enumerate(order.tolist(), start=1):
            x, y = records.position[row, :2] + number * np.array(DRIFT_M)
            table.writerow([records.images[row], x, y, records.yaw_rad[row], number * 10**9])


def take(browser: str, shot: Shot) -> None:
    """Open a page in a window, and keep what it shows."""
    picture = Path(f"{shot.name}.png").resolve()
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    flags += [f"--window-size={shot.width},{shot.height}", "--virtual-time-budget=5000"]
    address = Path(shot.path).resolve().as_uri()
    subprocess.run([browser, *flags, f"--screenshot={picture}", address], check=True)
    save(picture, shot.name)


def save(picture: Path, name: str) -> None:
    """Keep a picture as WebP."""
    Image.open(picture).convert("RGB").save(TARGET / f"{name}.webp", quality=72, method=6)


if __name__ == "__main__":
    main()
