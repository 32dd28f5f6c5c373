"""Start one of the nodes: `python -m progeo_ros.start progeo_localizer`, or its command.

Importing a node takes seconds. A signal that comes meanwhile ends the process at once and cleanly,
as there is nothing to give back yet; afterwards the node takes signals itself.
"""

import importlib
import os
import signal
import sys

_MODULES = {
    "progeo_localizer": "progeo_ros.localizer_node",
    "progeo_pose_graph": "progeo_ros.pose_graph_node",
    "progeo_pose_relay": "progeo_ros.pose_relay_node",
}
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def localizer() -> int:
    """Run progeo_localizer; return the exit code."""
    return run("progeo_localizer")


def pose_graph() -> int:
    """Run progeo_pose_graph; return the exit code."""
    return run("progeo_pose_graph")


def pose_relay() -> int:
    """Run progeo_pose_relay; return the exit code."""
    return run("progeo_pose_relay")


def run(node: str) -> int:
    """Import a node and run it until it is stopped; return the exit code."""
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))
    # Whoever started this may have held them back until here.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    exit_code: int = importlib.import_module(_MODULES[node]).main()
    return exit_code


if __name__ == "__main__":
    if sys.argv[1:2] not in [[name] for name in _MODULES]:
        sys.exit(f"name one of {', '.join(_MODULES)}")
    sys.exit(run(sys.argv.pop(1)))
