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
# Participants of a domain that are looked for: the first ones may have ended before the others.
_PARTICIPANTS = 10
# Offset of the port that marks a domain as taken: the last one, of a 120th participant.
_CLAIM = 249
_claims: list[socket.socket] = []


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
    """Return a domain that no participant of this machine uses, and keep it for this process.

    Others that ask get another one until this process ends, also before its first participant.
    """
    domains = random.sample(_DOMAINS, len(_DOMAINS))
    return next((domain for domain in domains if _claim(domain)), domains[0])


def _claim(domain: int) -> bool:
    """Whether a domain is unused: its discovery ports (RTPS 9.6.2.3), and what claims bind."""
    first = 7400 + 250 * domain
    for port in (first + 10 + 2 * participant for participant in range(_PARTICIPANTS)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            if not _bind(probe, port):
                return False
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if not _bind(claim, first + _CLAIM):
        claim.close()
        return False
    _claims.append(claim)
    return True


def _bind(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind(("", port))
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
