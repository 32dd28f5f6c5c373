"""Commands that are imported when they are named."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from progeo_core import cli


@pytest.mark.parametrize("arguments", [["--help"], ["map", "--help"], ["--version"]])
def test_help_imports_no_command_and_nothing_heavy(arguments: list[str]) -> None:
    heavy = {"numpy", "rich", "torch", "sqlite3", "faiss", "scipy", "cv2", "onnxruntime"}
    code = (
        f"import sys; from progeo_core.cli import main; main({arguments});"
        f"print(*sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"


@pytest.mark.parametrize("group", [[], ["map"]])
def test_what_a_command_does_fits_one_line(group: list[str]) -> None:
    runner = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    _, commands = runner.invoke(cli.app, [*group, "--help"]).output.split("Commands:")
    assert "export" in commands or "localize" in commands
    assert "..." not in commands
