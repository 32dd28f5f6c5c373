"""Threads of the networks that describe images for `--ray`, and for what is compared with it."""

import pytest

from progeo_core.commands.ray_option import threads_of_networks


@pytest.mark.parametrize(("said", "threads"), [(None, 1), ("", 1), ("3", 3)])
def test_a_network_takes_one_thread_unless_the_environment_says_otherwise(
    monkeypatch, said, threads
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads_of_networks() == threads
