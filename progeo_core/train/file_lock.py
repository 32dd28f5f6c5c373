"""Locks of open files, by which a run that is alive is told from one that was killed."""

from __future__ import annotations

import fcntl


def lock_file(descriptor: int, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed; return whether that was possible.

    It is not while another process has the lock (unless this one waits for it), nor in network
    folders without locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
