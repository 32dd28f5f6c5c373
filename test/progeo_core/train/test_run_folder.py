import json
import subprocess
import sys
from pathlib import Path

import pytest

from progeo_core.train.run_folder import create_run_folder
from progeo_core.train.settings import RunSettings, TrainingSettings

SETTINGS = TrainingSettings(run=RunSettings(seed=7, save_dir="mine"))


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = [create_run_folder(SETTINGS, "stage2", tmp_path) for _ in range(3)]
    assert len(set(folders)) == 3
    assert folders == sorted(folders)
    assert {folder.parent for folder in folders} == {tmp_path / "mine" / "stage2"}


def test_a_run_folder_says_what_was_run(tmp_path: Path) -> None:
    folder = create_run_folder(SETTINGS, "stage1", tmp_path)
    content = json.loads((folder / "settings.json").read_text())
    assert (content["schema"], content["stage"]) == (1, "stage1")
    assert content["settings"]["run"]["seed"] == 7
    assert content["versions"]["torch"][0].isdigit()
    assert content["command"]


def run_in_another_process(tmp_path: Path, then: str) -> subprocess.Popen[str]:
    """Start a run in a process of its own, leave what is there in its middle, and go on."""
    program = f"""
import os, signal, sys
from pathlib import Path
from progeo_core.train.run_folder import SCRATCH, create_run_folder
from progeo_core.train.settings import RunSettings, TrainingSettings

settings = TrainingSettings(run=RunSettings(save_dir="mine"))
folder = create_run_folder(settings, "stage2", Path({str(tmp_path)!r}))
for name in ("groups", SCRATCH):
    (folder / name).mkdir()
for name in ("last_checkpoint.pth-{{}}-new", "groups/group_0.pth-{{}}-new", "mine-new", "best.pth"):
    (folder / name.format(os.getpid())).touch()
(folder / SCRATCH / "rows.partial").touch()
print(folder, flush=True)
{then}
"""
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.slow
def test_the_next_start_removes_what_a_kill_left_and_keeps_the_results(tmp_path: Path) -> None:
    killed = run_in_another_process(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    folder = Path(killed.communicate()[0].strip())
    assert len(files_of(folder)) == 8
    not_begun = folder.parent / "2020-01-01_00-00-00"
    not_begun.mkdir()
    (not_begun / "settings.json-12-new").touch()
    others = folder.parent / "notes"
    others.mkdir()
    (others / "mine.txt").touch()
    create_run_folder(SETTINGS, "stage2", tmp_path)
    assert files_of(folder) == {"settings.json", "groups", "mine-new", "best.pth"}
    assert not not_begun.exists()
    assert files_of(others) == {"mine.txt"}


@pytest.mark.slow
def test_a_run_that_is_alive_keeps_its_unfinished_files(tmp_path: Path) -> None:
    living = run_in_another_process(tmp_path, "sys.stdin.read()")
    assert living.stdout is not None
    folder = Path(living.stdout.readline().strip())
    before = files_of(folder)
    create_run_folder(SETTINGS, "stage2", tmp_path)
    assert files_of(folder) == before
    living.communicate("")
    create_run_folder(SETTINGS, "stage2", tmp_path)
    assert len(files_of(folder)) == 4
