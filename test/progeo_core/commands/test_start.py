"""What signals do to `progeo`, from the first line of its own on."""

import signal
import subprocess
import sys

import pytest


def ended(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        # A shell's background job ignores the signal, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("module", ["progeo_core.cli", "typer", "torch"])
def test_a_signal_during_an_import_ends_in_one_line(name: str, code: int, module: str) -> None:
    done = ended(f"""
import os, signal, sys
from progeo_core.commands import start

class Slow:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{name})

sys.meta_path.insert(0, Slow())
sys.argv = ["progeo", "model", "info"]
sys.exit(start.main())
""")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.splitlines()[-1] == "progeo: error: interrupted"
    assert "Traceback" not in done.stderr


def test_starting_imports_nothing_heavy() -> None:
    heavy = {"typer", "numpy", "torch", "rich", "contextlib", "threading"}
    before = "import sys; before = set(sys.modules); import progeo_core.commands.start"
    done = ended(f"{before}; print({heavy} & (set(sys.modules) - before))")
    assert done.stdout.strip() == "set()"
