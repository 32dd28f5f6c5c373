import signal
from pathlib import Path

import pytest

from progeo_core.errors import ProgeoError
from progeo_ros.process.localizer_process import LocalizerProcess

pytestmark = pytest.mark.slow  # every test waits for a process that loads a network


def test_sigterm_ends_an_idle_node_cleanly(peer, corridor_map: Path) -> None:
    with LocalizerProcess({"map": corridor_map, "device": "cpu"}) as process:
        process.activate(peer.node, peer.executor)
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(60.0) == 0
        assert "Traceback" not in process.output()


def test_what_the_node_refuses_is_passed_on(peer, tmp_path: Path) -> None:
    nowhere = tmp_path / "it's nowhere.progeo"
    with (
        LocalizerProcess({"map": nowhere, "device": "cpu"}) as process,
        pytest.raises(ProgeoError, match=r"did not start: .*it's nowhere\.progeo"),
    ):
        process.activate(peer.node, peer.executor)
    assert process.process.returncode == 0


def test_a_node_that_ends_at_once_is_noticed(peer) -> None:
    with (
        LocalizerProcess({"mapp": "x"}) as process,
        pytest.raises(ProgeoError, match=r"code 2: .*unknown parameter 'mapp'"),
    ):
        process.activate(peer.node, peer.executor)
