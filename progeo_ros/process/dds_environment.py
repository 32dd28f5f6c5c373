"""The environment in which processes of this machine exchange images, apart from all others."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from progeo_core.errors import DataError

# Higher domains collide with the ports that Linux gives to outgoing connections.
_DOMAINS = range(1, 101)


def dds_environment() -> dict[str, str]:
    """Return the variables for a private domain on this machine with room for raw images."""
    environment = {
        "ROS_DOMAIN_ID": str(free_domain_id()),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        profile_variable(): str(shared_file("config/fastdds.xml")),
    }
    if os.environ.get("ROS_DISTRO") == "humble":
        environment["ROS_LOCALHOST_ONLY"] = "1"
    return environment


def profile_variable() -> str:
    """Return the variable that names a profile file: Fast DDS 3 (Kilted) renamed it."""
    old = os.environ.get("ROS_DISTRO") in {"humble", "iron", "jazzy"}
    return f"{'FASTRTPS' if old else 'FASTDDS'}_DEFAULT_PROFILES_FILE"


def free_domain_id() -> int:
    """Return a domain that no participant of this machine uses, so that runs do not collide."""
    domains = random.sample(_DOMAINS, len(_DOMAINS))
    return next((domain for domain in domains if _is_free(domain)), domains[0])


def _is_free(domain: int) -> bool:
    """Whether the first participant's discovery port of a domain (RTPS 9.6.2.3) is unused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7400 + 250 * domain + 10))
        except OSError:
            return False
    return True


_PACKAGE = "progeo_ros"


def shared_file(name: str) -> Path:
    """Return a file of the package, such as config/fastdds.xml; `DataError` if it is not there."""
    folders = list(_folders())
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{name}: not in {', '.join(map(str, folders))}; install the package again")


def _folders() -> Iterator[Path]:
    """Yield the places to look: a source tree, ROS workspaces, the virtual environment."""
    yield Path(__file__).resolve().parents[2]
    workspaces = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    for prefix in [*filter(None, workspaces), sys.prefix]:
        yield Path(prefix) / "share" / _PACKAGE
