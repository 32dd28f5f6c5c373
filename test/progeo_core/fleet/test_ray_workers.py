"""Describing images on a real Ray cluster of two nodes, and what happens when parts of it die."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from progeo_core.errors import DataError, ProgeoError, UsageError
from progeo_core.fleet.build import build_fleet, in_this_process, session_of_records
from progeo_core.fleet.described_blocks import BLOCK, FleetModel
from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.ray_workers import RayCluster, _Worker
from progeo_core.geo import Datum
from progeo_core.records.image_source import source_of_records
from test.fleet_images import content, write_records

pytestmark = pytest.mark.slow

COUNT = 5 * BLOCK + 10
DATUM = "48.1,11.5"


@pytest.fixture(scope="module")
def table(corridor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("drive")
    return write_records(folder, sorted((corridor / "ref").glob("*.jpg")), COUNT)


@pytest.fixture(scope="module")
def model(small_model):
    return FleetModel(str(small_model), "cpu", "auto", False, 0)


def build(uri, table, model, describe, advance=lambda count: None):
    store = open_fleet(str(uri), model.load()[0].fingerprint)
    source = source_of_records(table)
    session = session_of_records(store, source.records, "ada", "drive", Datum(48.1, 11.5))
    return build_fleet(store, source, session, describe, advance=advance), content(store)


def workers_of(cluster):
    """Return the processes of a cluster that describe images."""
    raylets = {
        info.process.pid
        for node in cluster.list_all_nodes()
        for info in node.all_processes["raylet"]
    }
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in raylets and (folder / "cmdline").read_text().startswith("ray::MapWorker"):
                found.append(int(folder.name))
    return found


def begin_and_kill(command, uri):
    """Run a build until its first places are in the store."""
    begun = subprocess.Popen(
        [sys.executable, "-m", "progeo_core.cli", *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
    )
    # The first version of the table is empty.
    while len([*uri.glob("places.lance/_versions/*.manifest")]) < 2:
        assert begun.poll() is None, begun.stderr.read()
        time.sleep(0.05)
    begun.kill()
    begun.communicate()


def test_builds_whose_parts_are_killed_end_as_one_process_does(cluster, table, model, tmp_path):
    wanted = build(tmp_path / "one", table, model, in_this_process(*model.load()))
    uri = tmp_path / "many"
    command = ["fleet", "build", uri, table, "--robot", "ada", "--datum", DATUM]
    command += ["--model", model.model, "--device", "cpu", "--features", "0"]
    begin_and_kill([*command, "--ray", cluster.address], uri)
    held = open_fleet(str(uri)).info().places
    assert 0 < held < COUNT - 1
    counted: list[int] = []

    def end_a_worker(count):
        counted.append(count)
        # After those that were known, and a first block.
        if len(counted) == 2:
            os.kill(max(workers_of(cluster)), signal.SIGKILL)

    with contextlib.closing(RayCluster(cluster.address, model, 1)) as workers:
        report, found = build(uri, table, model, workers.describe, end_a_worker)
        again, _ = build(uri, table, model, workers.describe)
    assert len(counted) > 2
    assert (report.added, report.known) == (COUNT - 1 - held, held)
    assert report.skipped == wanted[0].skipped
    assert "broken.jpg" in report.skipped[0]
    assert found == wanted[1]
    assert (again.added, again.known) == (0, COUNT - 1)


def test_a_cluster_that_does_not_fit_is_told(cluster, model):
    with pytest.raises(UsageError, match="--device cuda: the Ray cluster has no GPU"):
        RayCluster(cluster.address, model._replace(device="cuda"), 1)


def test_a_cluster_that_does_not_answer_is_told(model):
    with pytest.raises(DataError, match=r"--ray 127.0.0.1:1: there is no Ray cluster to reach"):
        RayCluster("127.0.0.1:1", model, 1)


def test_what_a_worker_cannot_load_is_its_answer(model):
    worker = _Worker(model._replace(model="gone"), 1, os.cpu_count() or 1, os.getcwd())
    (answer,) = worker({"stretch": [b""]})
    with pytest.raises(ProgeoError, match="gone"):
        raise pickle.loads(answer["found"][0])
