"""What this project logs through Python's logging, passed on to the ROS log."""

from __future__ import annotations

import logging
from typing import Any

_LOGGERS = tuple(logging.getLogger(name) for name in ("progeo_core", "progeo_ros"))


class RosLogHandler(logging.Handler):
    """Handler that sends log records to a ROS logger at the matching severity."""

    def __init__(self, logger: Any) -> None:
        """Take the node's logger."""
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, with its traceback where it has one."""
        text = self.format(record)
        # rclpy ties a severity to the calling line: each severity needs a line of its own.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def forward_logs(logger: Any) -> RosLogHandler:
    """Start passing on; give the handler to `stop_forwarding` before the node goes."""
    handler = RosLogHandler(logger)
    for source in _LOGGERS:
        source.addHandler(handler)
        # ROS filters by its own level; Python's default would hide what is below a warning.
        source.setLevel(logging.DEBUG)
        source.propagate = False
    return handler


def stop_forwarding(handler: RosLogHandler) -> None:
    """Undo `forward_logs`."""
    for source in _LOGGERS:
        source.removeHandler(handler)
        source.setLevel(logging.NOTSET)
        source.propagate = True
