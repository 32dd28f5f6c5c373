"""Building a fleet's store by the command line, and what it says of bad use."""

import builtins
import json

import pytest

from test.fleet_images import write_records


@pytest.fixture
def one_thread(monkeypatch):
    """Keep the threads of later tests as they are."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.slow
def test_images_go_up_once_and_broken_ones_are_named(
    progeo, corridor, small_model, one_thread, tmp_path
):
    table = write_records(tmp_path, sorted((corridor / "ref").glob("*.jpg"))[:6], 6)
    command = ["fleet", "build", tmp_path / "fleet", table, "--robot", "ada"]
    command += ["--model", small_model, "--device", "cpu", "--features", "0"]
    unknown = progeo(*command)
    assert (unknown.code, "say with --datum LAT,LON" in unknown.error) == (2, True)
    done = progeo(*command, "--datum", "48.1,11.5")
    assert (done.code, "broken.jpg" in done.err) == (0, True)
    assert "robot ada session drive added 5" in " ".join(done.out.split())
    again = " ".join(progeo(*command).out.split())
    assert "added 0 in the store already 5 skipped 1" in again
    info = progeo("fleet", "info", tmp_path / "fleet", "--json")
    assert json.loads(info.out)["places"] == 5


def test_without_ray_the_extra_is_named(progeo, few_records, one_thread, tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **options):
        if name.partition(".")[0] == "ray":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    done = progeo("fleet", "build", tmp_path / "fleet", few_records, "--ray", "local")
    assert (done.code, "--ray needs Ray: pip install 'progeo_ros[fleet]'" in done.error) == (
        1,
        True,
    )
    assert not (tmp_path / "fleet").exists()
