"""Images described for a fleet's store by Ray, in milliseconds per image, start left out.

Plain is the batch path in one process, which like each worker of Ray decodes and computes in one
thread; for two workers, plain is one of them. Images are PNGs that take longer to decode than to
describe. Processor time counts everything that Ray starts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from progeo_core.fleet.build import Describer, in_this_process
from progeo_core.fleet.described_blocks import BLOCK, FleetModel
from progeo_core.fleet.ray_workers import RayCluster
from progeo_core.images.codec import read_image
from progeo_core.images.prefetch import limit_prefetch
from progeo_core.inference.device import limit_threads
from progeo_core.model.built_in import DEFAULT_MODEL
from progeo_core.model.model_folder import read_model, save_model
from progeo_core.model.stored_model import find_model_folder
from progeo_core.records.image_source import ImageSource, source_of_records
from test.benchmarks.image_path_benchmark import PICTURE
from test.benchmarks.row import Row

FILES, SIZE, SIDE = 16, (960, 720), 128
# Blocks until all have started, and images of all blocks.
FIRST, MANY = 4, 12 * BLOCK
ROUNDS = 2


class Cost(NamedTuple):
    """Milliseconds of an image, on the clock and of processors."""

    wall: float
    processors: float


def why_skipped() -> str:
    """Return why it cannot run here."""
    try:
        import ray.cluster_utils  # noqa: F401
    except ImportError:
        return "Ray is not installed"
    return "" if len(os.sched_getaffinity(0)) > 1 else "there is one core only"


def rows(folder: Path) -> Iterator[Row]:
    """Yield the overhead of one worker and the speed of two."""
    limit_threads(1)
    limit_prefetch(1)
    model = FleetModel(str(small_model(folder)), "cpu", "onnx", False, 0)
    source = source_of_records(write_images(folder))
    with cluster() as nodes:
        alone, one, two = least_of_rounds(nodes, model, source)
    case = f"{MANY} PNGs of {SIZE[0]} × {SIZE[1]}"
    yield Row(f"{case}, one worker, processor time", "ms", one.processors, alone.processors)
    yield Row(f"{case}, one worker", "ms", one.wall, alone.wall)
    yield Row(f"{case}, two workers against one", "ms", two.wall, one.wall)


def least_of_rounds(nodes: Any, model: FleetModel, source: ImageSource) -> list[Cost]:
    """Return the costs in one process, of one worker and of two; the least of a few rounds each."""
    costs: list[list[Cost]] = [[], [], []]
    own = in_this_process(*model.load())
    for number in range(ROUNDS):
        costs[0].append(cost(own, source, time.process_time))
        for workers in (1, 2):
            second = nodes.add_node(num_cpus=1) if workers == 2 else None
            with contextlib.closing(RayCluster(nodes.address, model, 1)) as ray:
                costs[workers].append(cost(ray.describe, source, ProcessorMeter().seconds))
            if second is not None:
                nodes.remove_node(second)
        print(f"fleet_build: round {number}: {[one[-1] for one in costs]}", flush=True)
    return [Cost(*map(min, zip(*rounds, strict=True))) for rounds in costs]


def cost(describe: Describer, source: ImageSource, processors: Callable[[], float]) -> Cost:
    """Return what an image costs once every worker has started, as the first blocks tell."""
    rows, came = np.arange(len(source.records)), []
    for block in describe(source, source.records, rows):
        assert len(block.described) == BLOCK
        came.append((time.perf_counter(), processors()))
    spent = np.subtract(came[-1], came[FIRST - 1]) * 1e3 / (MANY - FIRST * BLOCK)
    return Cost(*spent.tolist())


class ProcessorMeter:
    """Processor time of this process and of all that it has started, ended ones as last seen."""

    def __init__(self) -> None:
        self._ticks: dict[int, int] = {}

    def seconds(self) -> float:
        """Return the time (s) up to now."""
        parents: dict[int, int] = {}
        now: dict[int, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(fields[1])
                now[int(folder.name)] = sum(map(int, fields[11:13]))
        own = {os.getpid()}
        while more := {pid for pid, parent in parents.items() if parent in own} - own:
            own |= more
        self._ticks |= {pid: now[pid] for pid in own}
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def cluster() -> Iterator[Any]:
    """Yield a Ray cluster of one node with one processor, to which others can be added."""
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        yield nodes
    finally:
        nodes.shutdown()


def small_model(folder: Path) -> Path:
    """Write the shipped model for small images, so that decoding takes most of the time."""
    card, state = read_model(find_model_folder(DEFAULT_MODEL) or Path(), with_text=False)
    seen = card.preprocessing._replace(height=SIDE, width=SIDE)
    return save_model(folder / "small", dataclasses.replace(card, preprocessing=seen), state)


def write_images(folder: Path) -> Path:
    """Write shipped images, enlarged, and a table that repeats them; return the table."""
    sources = sorted(PICTURE.rglob("*.jpg"))[:FILES]
    for number, source in enumerate(sources):
        larger = cv2.resize(read_image(source), SIZE, interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(folder / f"{number}.png"), larger)
    lines = ["image,x_m,y_m", *(f"{row % len(sources)}.png,{row},0" for row in range(MANY))]
    table = folder / "images.csv"
    table.write_text("\n".join(lines) + "\n")
    return table
