"""Commands on a disk that is full: one line, nothing half-written, and what was there stays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from progeo_core.map.place_map import PlaceMap

ROOT = Path(__file__).resolve().parents[3]
CORRIDOR = ROOT / "progeo_core" / "demo_data" / "corridor"
# A disk of our own needs a namespace of our own, which not every machine gives.
MOUNT = """mount -t tmpfs -o size="$1" tmpfs "$2" && cd "$2" && shift 2 && echo "kept" > kept.txt
"$@"; code=$?; ls -A; exit $code"""

Run = Callable[[str, Sequence[str]], subprocess.CompletedProcess[str]]


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Run:
    """Return what runs a `progeo` command on a disk of that size, and lists what it leaves."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def run(size: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh"]
        return subprocess.run(
            [*namespace, size, str(folder), *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )

    try:
        tried = run("1m", ["true"])
    except FileNotFoundError:
        pytest.skip("this machine has no unshare")
    if tried.returncode:
        pytest.skip(f"no disk can be mounted here: {tried.stderr.strip()}")
    return run


@pytest.fixture
def sites(tmp_path: Path, fingerprint, make_places, unit_vectors) -> Path:
    """Return a folder with maps a and b of 300 places each."""
    for name in ("a", "b"):
        with PlaceMap.create(tmp_path / f"{name}.progeo", fingerprint) as place_map:
            place_map.append(make_places(300), unit_vectors(300))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "command", "said"),
    [
        (
            "500k",
            f"dataset from-photos {CORRIDOR}/ref.csv --cell 5 --out site",
            "site: the data set cannot be written (No space left on device); check free space",
        ),
        (
            "64k",
            f"describe --images {CORRIDOR}/query --out out.npy --runtime torch",
            "out.npy: cannot be written (No space left on device)",
        ),
        ("8k", "map export {sites}/a.progeo --format csv --out a.csv", "a.csv: cannot be written"),
        ("48k", "map merge {sites}/a.progeo {sites}/b.progeo --out c.progeo", "c.progeo: the disk"),
    ],
    ids=["dataset", "describe", "export", "merge"],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(
    on_small_disk: Run, sites: Path, size: str, command: str, said: str
) -> None:
    arguments = command.format(sites=sites).split()
    done = on_small_disk(size, [sys.executable, "-m", "progeo_core.cli", *arguments])
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"progeo: error: {said}")
    assert done.stdout.split() == ["kept.txt"]


def test_an_output_that_is_full_is_one_line(sites: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "progeo_core.cli", "map", "info", str(sites / "a.progeo")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=240,
        )
    assert done.returncode == 1
    assert done.stderr == "progeo: error: the output cannot be written (No space left on device)\n"
