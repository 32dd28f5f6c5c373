"""Start of the `progeo` command, before anything that takes time is imported.

A signal that comes meanwhile ends the process at once, as nothing is begun yet. The exit code is
128 and the number of the signal, as it is afterwards (see `signals`).
"""

import importlib
import os
import signal
import sys


def main() -> int:
    """Run the command that the command line names; return its exit code."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    # What nohup, or a shell in the background, ignores stays ignored.
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    for number in heard:
        signal.signal(number, end_at_once)
    code: int = importlib.import_module("progeo_core.cli").main()
    # All is done but Python's own end, which a signal would turn into a traceback.
    for number in heard:
        signal.signal(number, signal.SIG_IGN)
    return code


def end_at_once(number: int, _: object = None) -> None:
    """End the process without tidying up; the next command removes what is left."""
    os.write(2, b"progeo: error: interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
