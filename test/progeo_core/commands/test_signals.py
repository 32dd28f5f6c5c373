"""Signals while a command runs."""

import os
import signal
import subprocess
import sys

import pytest

from progeo_core.commands.signals import interrupted_by_signals


def ended(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        # A shell's background job ignores the signal, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_the_first_signal_interrupts_and_later_ones_find_the_handlers_of_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interrupted_by_signals() as came:
        send(signal.SIGTERM)
    assert came == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


TWICE = """
with interrupted_by_signals():
    try:
        send(signal.SIGINT)
    finally:
        send(signal.SIGTERM)
        print("still here")
"""
LOST = """
class Callback:
    def __del__(self):
        send(signal.SIGINT)

with interrupted_by_signals():
    one = Callback()
    del one
    print("still here")
"""


@pytest.mark.parametrize(("block", "code"), [(TWICE, 143), (LOST, 130)], ids=["twice", "lost"])
def test_nothing_waits_for_a_second_signal_or_a_lost_one(block: str, code: int) -> None:
    done = ended(f"""
import os, signal
from progeo_core.commands.signals import interrupted_by_signals
send = lambda number: os.kill(os.getpid(), number)
{block}
""")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == "progeo: error: interrupted\n"


def test_what_is_ignored_stays_so() -> None:
    done = ended("""
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from progeo_core.commands.signals import interrupted_by_signals
with interrupted_by_signals():
    os.kill(os.getpid(), signal.SIGINT)
    print("goes on")
""")
    assert (done.returncode, done.stdout) == (0, "goes on\n")
