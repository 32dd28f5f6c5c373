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
_HELP = {
    "progeo_localizer": """\
progeo_localizer: lifecycle node of ROS 2 that localizes camera images in a map, maps while driving
and detects loop closures.

  ros2 launch progeo_ros localize.launch.py map:=SITE.progeo cameras:=/camera/image_raw

configures and activates it (--show-args lists the arguments). Without launch:

  ros2 run progeo_ros progeo_localizer --ros-args -p map:=SITE.progeo \\
    -p "cameras:=[/camera/image_raw]"
  ros2 lifecycle set /progeo_localizer configure
  ros2 lifecycle set /progeo_localizer activate

ros2 param describe explains its parameters, and share/progeo_ros/config/localize.yaml lists them.
""",
    "progeo_pose_graph": """\
progeo_pose_graph: node of ROS 2 that corrects the odometry of a drive by its loop closures.

  ros2 launch progeo_ros slam.launch.py cameras:=/camera/image_raw odom:=/odom

starts it beside progeo_localizer. Alone, with closures of any source:

  ros2 run progeo_ros progeo_pose_graph --ros-args -r loop_closure:=/progeo_localizer/loop_closure

ros2 param describe explains its parameters, and share/progeo_ros/config/pose_graph.yaml lists them.
""",
    "progeo_pose_relay": """\
progeo_pose_relay: node of ROS 2 that passes the localizer's poses on to AMCL, slam_toolbox and
RTAB-Map in the form that they expect.

  ros2 run progeo_ros progeo_pose_relay --ros-args -r pose:=/progeo_localizer/pose \\
    -r tracked_pose:=/amcl_pose

ros2 param describe explains its parameters, and share/progeo_ros/config/pose_relay.yaml lists them.
""",
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
    """Import a node and run it until it is stopped; return the exit code.

    With --help, print what it is and how to start it instead.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(_HELP[node], end="")
        return 0
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
