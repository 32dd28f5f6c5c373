import os
import signal
import subprocess
import sys

import pytest

from progeo_core.atomic_file import remove_unfinished, replaced_file

KILLED = """
import os, signal, sys
from pathlib import Path
from progeo_core.atomic_file import replaced_file
with replaced_file(Path(sys.argv[1])) as unfinished:
    unfinished.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replaced_file(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_raises_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(AttributeError), replaced_file(path) as unfinished:
        unfinished.write_text("half").nothing()  # type: ignore[attr-defined]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_goes_with_the_next_start(tmp_path):
    path = tmp_path / "a (1).txt"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.read_text() == "half"
    with replaced_file(path) as unfinished:
        assert list(tmp_path.iterdir()) == [unfinished]
        unfinished.write_text("new")
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["new"]


def test_what_is_being_written_is_not_removed(tmp_path):
    path = tmp_path / "a.txt"
    (tmp_path / f"b.txt-{os.getpid()}-new").touch()
    with replaced_file(path) as unfinished:
        unfinished.write_text("new")
        remove_unfinished(path)
        assert unfinished.exists()
    assert path.read_text() == "new"
    assert (tmp_path / f"b.txt-{os.getpid()}-new").exists()


def test_a_pipe_and_a_stream_are_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with replaced_file(pipe) as unfinished:
        unfinished.write_text("new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert pipe.is_fifo()
    with (tmp_path / "a.txt").open("w+") as file:
        link = tmp_path / "stream"
        link.symlink_to(f"/proc/self/fd/{file.fileno()}")
        with replaced_file(link) as unfinished:
            unfinished.write_text("new")
        assert file.read() == "new"
    assert link.is_symlink()
    assert set(tmp_path.iterdir()) == {pipe, link, tmp_path / "a.txt"}
