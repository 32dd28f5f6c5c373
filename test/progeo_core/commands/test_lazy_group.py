"""Commands that are imported when they are named."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from progeo_core import cli
from progeo_core.inference.loading import load_encoder
from progeo_core.map.build import build_map
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records

HEAVY = {"numpy", "rich", "torch", "sqlite3", "faiss", "scipy", "cv2", "onnxruntime", "pydantic"}


@pytest.mark.parametrize("arguments", [["--help"], ["map", "--help"], ["--version"]])
def test_help_imports_no_command_and_nothing_heavy(arguments: list[str]) -> None:
    assert imported(arguments) <= {"pydantic"}  # typer's, since 0.29


@pytest.mark.slow
def test_a_map_is_looked_at_and_a_photo_localized_without_what_they_do_not_need(
    corridor: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    path, photo = tmp_path / "corridor.progeo", corridor / "query" / "0000003.jpg"
    records = read_records(corridor / "ref.csv").select(slice(0, 24, 3))
    # What runs the two networks of this model is remembered from here on.
    build_map(path, FileSource(records), load_encoder("mobilenetv2-vlad", "cpu", "onnx"))
    assert imported(["map", "info", str(path)]) <= {"numpy", "sqlite3", "pydantic"}
    arguments = ["localize", str(path), str(photo), "--device", "cpu", "--runtime", "onnx"]
    assert {"onnxruntime", "faiss"} <= imported(arguments) <= HEAVY - {"torch", "scipy", "rich"}


def imported(arguments: list[str]) -> set[str]:
    """Return which heavy packages a command imports."""
    code = (
        f"import sys; from progeo_core.cli import main; code = main({arguments});"
        f"print(*{HEAVY} & set(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("group", [[], ["map"]])
def test_what_a_command_does_fits_one_line(group: list[str]) -> None:
    runner = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    _, commands = runner.invoke(cli.app, [*group, "--help"]).output.split("Commands:")
    assert "export" in commands or "localize" in commands
    assert "..." not in commands
