import json
from pathlib import Path

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
