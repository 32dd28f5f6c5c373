"""What rcl and rclpy say of a wrong name, argument or file, in one line."""

from __future__ import annotations

import re


def reason_of(error: Exception) -> str:
    """Return what is wrong, without where in rcl's source it was found."""
    # rclpy points at the wrong character of a name in further lines.
    first = str(error).split(":\n")[0]
    plain = re.sub(r",? at /\S+:\d+", "", " ".join(first.split()))
    return re.sub(r"^failed to (initialize rcl|resolve name): ", "", plain)
