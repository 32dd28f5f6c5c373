from pathlib import Path

import pytest

from progeo_core.errors import DataError
from progeo_core.train.set_folders import find_benchmark_folder, find_training_folder


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out sets as their downloaders do, below $PROGEO_DATASETS."""
    root = tmp_path / "sets"
    for folder in (
        "pitts30k/images/train", "pitts30k/images/val/database", "pitts30k/images/test/database",
        "sf_xl/processed/train", "sf_xl/processed/val/database", "sf_xl/processed/test/database",
        "msls/val/database", "msls/train", "tokyo247/images/test/database",
        "site/train", "site/val/database", "site/test/database",
    ):  # fmt: skip
        (root / folder).mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PROGEO_DATASETS", str(root))
    return root


@pytest.mark.parametrize(
    ("name", "split", "found"),
    [
        ("pitts30k", "val", "pitts30k/images/val"),
        ("pitts30k", "test", "pitts30k/images/test"),
        ("sf_xl", "val", "sf_xl/processed/val"),
        ("sf_xl", "test", "sf_xl/processed/test"),
        ("sf_xl/processed/test", "test", "sf_xl/processed/test"),
        ("msls", "val", "msls/val"),
        ("msls", "test", "msls/val"),
        ("tokyo247", "test", "tokyo247/images/test"),
        ("tokyo247", "val", "tokyo247/images/test"),
        ("site", "val", "site/val"),
        ("site", "test", "site/test"),
    ],
)
def test_a_benchmark_is_found_by_name_by_root_and_by_folder(
    datasets: Path, name: str, split: str, found: str
) -> None:
    for given in (name, str(datasets / name), str(datasets / found)):
        assert find_benchmark_folder(given, split, "database") == datasets / found


def test_msls_may_have_its_folder_of_images(datasets: Path) -> None:
    (datasets / "msls" / "images").mkdir()
    (datasets / "msls" / "val").rename(datasets / "msls" / "images" / "val")
    assert find_benchmark_folder("msls", "val", "database") == datasets / "msls" / "images" / "val"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("pitts30k", "pitts30k/images/train"),
        ("sf_xl", "sf_xl/processed/train"),
        ("msls", "msls/train"),
        ("site", "site/train"),
        ("tokyo247", "tokyo247"),
    ],
)
def test_a_training_folder_is_that_of_a_set_or_the_folder_itself(
    datasets: Path, name: str, found: str
) -> None:
    for given in (name, str(datasets / name), str(datasets / found)):
        assert find_training_folder(given) == datasets / found


def test_a_folder_here_goes_before_a_set_of_that_name(datasets: Path) -> None:
    del datasets
    Path("site/database").mkdir(parents=True)
    assert find_benchmark_folder("site", "test", "database") == Path("site")
    assert find_training_folder("site") == Path("site")


def test_missing_folders_are_named_with_where_they_may_be(datasets: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: needs database/, here or in test/, images/test"):
        find_benchmark_folder("nowhere", "test", "database")
    with pytest.raises(DataError, match=r"site: needs base/.* --database_folder"):
        find_benchmark_folder(str(datasets / "site"), "val", "base")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        find_training_folder("nowhere")
