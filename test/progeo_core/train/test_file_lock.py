import subprocess
import sys
from pathlib import Path

from progeo_core.train.file_lock import lock_file

PROGRAM = """
import os, sys
from progeo_core.train.file_lock import lock_file
print(lock_file(os.open(sys.argv[1], os.O_RDONLY)), flush=True)
sys.stdin.read()
"""


def test_a_lock_lasts_as_long_as_its_process(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    holder = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "True\n"
    with path.open("rb") as file:
        assert not lock_file(file.fileno())
        holder.kill()
        holder.communicate()
        assert lock_file(file.fileno())
    with path.open("rb") as file:
        assert lock_file(file.fileno(), wait=True)
