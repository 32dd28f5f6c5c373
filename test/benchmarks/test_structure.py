import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from test.benchmarks import structure

LONG = "def long():\n" + "".join(f"    a{row} = {row}\n" for row in range(60))
PIECE = "".join(f"b{row} = {row}\n\n# said once\n" for row in range(9))


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that adds files to a small project, and what is printed of it."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)

    def write(files: dict[str, str], subject: str = "Add files") -> Path:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", subject], check=True)
        return tmp_path

    short = "def one():\n    return 1\n"
    packages = {f"progeo_core/p{number}/a.py": short for number in range(9)}
    tests = {f"test/progeo_core/p{number}/test_a.py": "" for number in range(9)}
    write({**packages, **tests, "progeo_core/__init__.py": "", "progeo_ros/__init__.py": ""})
    return write


def test_a_tree_within_all_limits_passes(tree, capsys):
    assert structure.main(tree({})) == 0
    printed = capsys.readouterr().out
    assert "| lines | 18 | - |" in printed
    assert "| names at the top level of progeo_core | 9 | 26 |" in printed
    assert "| longest function, lines | 2 | 60 |" in printed


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"progeo_core/p1/a.py": LONG},
            "progeo_core/p1/a.py:1 long: 61",
        ),
        (
            {"progeo_core/p1/a.py": "a = 1\n" * 4},
            "progeo_core/p1: 20.0%",
        ),
        (
            {"progeo_core/p1/other.py": ""},
            "progeo_core/p1/other.py",
        ),
        (
            {f"progeo_core/top_{row}.py": "" for row in range(18)},
            "top_17.py",
        ),
        (
            {"progeo_core/p1/a.py": PIECE, "progeo_core/p2/a.py": f"import re\n{PIECE}"},
            "progeo_core/p2/a.py:2 is equal to progeo_core/p1/a.py:1",
        ),
    ],
)
def test_what_breaks_a_limit_is_named(tree, files, told, capsys):
    assert structure.main(tree(files)) == 1
    assert f"\n  {told}\n" in capsys.readouterr().out


def test_eight_equal_lines_are_no_duplicate(tree):
    piece = "".join(PIECE.splitlines(keepends=True)[:-3])
    root = tree({"progeo_core/p1/a.py": piece, "progeo_core/p2/a.py": piece})
    assert structure.duplicates(root, structure.source_files(root)) == []


def test_long_subjects_of_commits_are_listed_unless_the_source_alone_counts(tree, capsys):
    root = tree({}, subject="A" * 73)
    assert structure.main(root, source_only=True) == 0
    assert "subjects" not in capsys.readouterr().out
    assert structure.main(root) == 1
    assert capsys.readouterr().out.endswith(f" {'A' * 73}\n")
