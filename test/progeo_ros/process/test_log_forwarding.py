import logging

import pytest

from progeo_ros.process.log_forwarding import forward_logs, stop_forwarding


class Outlet:
    """Stand where the ROS logger stands, as rcl's output cannot be read back in a process."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def debug(self, text: str) -> None:
        self.lines.append(("debug", text))

    def info(self, text: str) -> None:
        self.lines.append(("info", text))

    def warning(self, text: str) -> None:
        self.lines.append(("warning", text))

    def error(self, text: str) -> None:
        self.lines.append(("error", text))


def test_core_messages_reach_ros_at_their_severity(capsys: pytest.CaptureFixture[str]) -> None:
    outlet = Outlet()
    handler = forward_logs(outlet)
    log = logging.getLogger("progeo_core.map.place_index")
    log.debug("read %d", 1)
    log.info("built")
    log.warning("slow")
    log.critical("full")
    stop_forwarding(handler)
    assert outlet.lines == [
        ("debug", "read 1"),
        ("info", "built"),
        ("warning", "slow"),
        ("error", "full"),
    ]
    assert capsys.readouterr().err == "", "said twice"


def test_tracebacks_are_kept_and_nothing_comes_after_the_end() -> None:
    outlet = Outlet()
    handler = forward_logs(outlet)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("progeo_ros.pipeline").exception("an image")
    stop_forwarding(handler)
    logging.getLogger("progeo_core").error("later")
    ((severity, text),) = outlet.lines
    assert severity == "error"
    assert "an image" in text
    assert "ValueError: broken" in text


def test_a_real_ros_logger_takes_changing_severities(peer) -> None:
    handler = forward_logs(peer.node.get_logger())
    log = logging.getLogger("progeo_core")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.DEBUG):
        log.log(level, "one line for each level")
    stop_forwarding(handler)
    assert handler not in log.handlers
