"""What ROS is like on this machine; it is asked in a process of its own, as the core has no ROS."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from progeo_core.evaluation.doctor.finding import Finding, State, good
from progeo_core.evaluation.live_answers import has_ros

_MODULE = "progeo_ros.process.ros_check"
_TIMEOUT_S = 30.0
_FAST_DDS = "rmw_fastrtps_cpp"
_RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_max")
# A raw image of 2 megapixels fits. Linux's own 212,992 bytes lose parts of large messages.
_MIN_RECEIVE_BYTES = 2_000_000


def check_ros() -> Iterator[Finding]:
    """Yield distribution, middleware and its settings, and the topics that the node can use."""
    if not has_ros():
        text = "rclpy is not here; maps, photos and bags work without it, the nodes do not"
        fix = "source /opt/ros/DISTRO/setup.bash, or pip install 'progeo_ros[ros]'"
        yield Finding("ROS", State.NOTE, text, fix)
        return
    distribution = os.environ.get("ROS_DISTRO")
    yield good("ROS", distribution or "rclpy of the Python environment, no distribution sourced")
    if importlib.util.find_spec("progeo_ros") is None:
        text = "the nodes' package is not installed"
        yield Finding("progeo_ros", State.PROBLEM, text, "build it with colcon or pip")
        return
    command = [sys.executable, "-m", _MODULE]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
        document = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        text = f"rclpy does not start: {said[-1] if said else error}"
        fix = "source the distribution that this Python is of, or unset RMW_IMPLEMENTATION"
        yield Finding("rclpy", State.PROBLEM, text, fix)
        return
    yield from settings_of(document)
    yield from map(topic_of, document["topics"])
    if not document["topics"]:
        text = "no topic of images, poses or fixes is published"
        fix = "start the camera, or give both the same ROS_DOMAIN_ID and discovery range"
        yield Finding("topics", State.NOTE, text, fix)


def settings_of(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what the middleware is told, from what the process found."""
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    middleware, profile = document["middleware"], document["profile"]
    yield good("DDS", f"{middleware}, domain {domain}, discovery {reach}")
    if profile and not Path(profile).is_file():
        text = f"{document['profile_variable']} names {profile}, which does not exist"
        yield Finding("profile", State.PROBLEM, text, "name the file that is meant, or unset it")
    elif profile:
        yield good("profile", profile)
    elif middleware == _FAST_DDS:
        text = "none: raw images may not fit the shared memory of Fast DDS"
        fix = f"export {document['profile_variable']}={document['shipped_profile']}"
        yield Finding("profile", State.NOTE, text, fix)
    yield from _receive_buffer()


def topic_of(topic: Mapping[str, Any]) -> Finding:
    """Return what a topic is, and whether a subscription with one reliability hears all of it."""
    kind = topic["type"].rpartition("/")[2]
    reliability = " and ".join(topic["reliability"])
    count = topic["publishers"]
    text = f"{kind}, {count} publisher{'' if count == 1 else 's'}, {reliability}"
    if len(topic["reliability"]) > 1:
        text = f"{text}: a reliable subscription hears only some of them"
        fix = "leave image_reliability at auto, or give all publishers one reliability"
        return Finding(topic["name"], State.NOTE, text, fix)
    return good(topic["name"], text)


def _receive_buffer() -> Iterator[Finding]:
    try:
        size = int(_RECEIVE_BUFFER.read_text("ascii"))
    except (OSError, ValueError):
        return
    if size < _MIN_RECEIVE_BYTES:
        text = f"{size:,} bytes at most: images from other machines may get lost"
        fix = f"sudo sysctl -w net.core.rmem_max={8 * _MIN_RECEIVE_BYTES}"
        yield Finding("receive buffer", State.NOTE, text, fix)
