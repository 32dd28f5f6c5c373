"""Images described by the processes of a Ray cluster, or of Ray on this machine."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import pickle
import signal
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from typing import Any, NamedTuple

from progeo_core.errors import DataError, MissingDependencyError, ProgeoError, UsageError
from progeo_core.fleet.described_blocks import (
    BLOCK,
    DescribedBlock,
    FleetModel,
    Stretch,
    cut,
    describe_stretch,
)
from progeo_core.images.prefetch import limit_prefetch
from progeo_core.inference.device import limit_threads
from progeo_core.map.places import IdArray
from progeo_core.records.image_source import ImageSource
from progeo_core.records.records import Records

# Stretches that a worker gets, so that none waits long for the last one; and their longest, in
# blocks, as a stretch whose worker died is described again.
_SHARES, _MAX_BLOCKS = 8, 16
_MAX_MESSAGE = 300
# A machine of a cluster that is there answers within this time.
_ANSWER_S = 10.0


class _Workers(NamedTuple):
    """How many processes describe, and the processors and GPUs that Ray gives each."""

    number: int
    cpus: int
    gpus: int


class RayCluster:
    """Connection to a Ray cluster, and the model that its processes describe images with."""

    def __init__(self, address: str, model: FleetModel, threads: int) -> None:
        """Connect to a cluster: "HOST:PORT", "auto" for the one of this machine, or "local".

        "local" starts Ray on this machine until `close`. threads: of a worker's network on the
        CPU. Raises `MissingDependencyError` without Ray, `DataError` where there is no cluster,
        `UsageError` for a device that it has not.
        """
        _connect(address)
        try:
            self._workers = _workers(model.device, threads)
        except BaseException:
            self.close()
            raise
        self._threads = threads
        self._model = model if self._workers.gpus else model._replace(device="cpu")

    def describe(
        self, source: ImageSource, records: Records, rows: IdArray
    ) -> Generator[DescribedBlock, None, None]:
        """Yield blocks of described rows as workers finish them; see `build_fleet`.

        What a worker cannot do at all is raised here; a worker that dies is replaced by Ray, and
        its stretch described again.
        """
        blocks = math.ceil(len(rows) / BLOCK)
        share = math.ceil(blocks / (self._workers.number * _SHARES))
        stretches = [
            {"stretch": pickle.dumps(one)}
            for one in cut(source, records, rows, BLOCK * max(1, min(share, _MAX_BLOCKS)))
        ]
        if not stretches:
            return
        for packed in self._results(stretches):
            found = pickle.loads(packed)
            if isinstance(found, ProgeoError):
                raise found
            yield found

    def _results(self, stretches: list[dict[str, bytes]]) -> Iterator[bytes]:
        ray = _ray()
        number, cpus, gpus = self._workers
        given = ray.data.from_items(stretches, override_num_blocks=len(stretches))
        described = given.map_batches(
            _Worker,
            fn_constructor_args=(self._model, self._threads, cpus, os.getcwd()),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(number, len(stretches))),
            num_cpus=cpus,
            num_gpus=gpus,
        )
        try:
            for row in described.iter_rows():
                yield row["found"]
        except ray.exceptions.RayError as error:
            reason = " ".join(str(error).split())[-_MAX_MESSAGE:]
            raise DataError(f"Ray gave up; give the same command to go on ({reason})") from error

    def close(self) -> None:
        """Leave the cluster; what was started here ends."""
        _ray().shutdown()


class _Worker:
    """Process that describes stretches one after another."""

    def __init__(self, model: FleetModel, threads: int, cpus: int, folder: str) -> None:
        """Take the worker's share of its machine; folder: that relative paths start from."""
        limit_threads(threads)
        limit_prefetch(cpus)
        with contextlib.suppress(OSError):
            os.chdir(folder)
        self._model = model
        self._loaded: Any = None

    def __call__(self, batch: Mapping[str, Any]) -> Iterator[dict[str, list[bytes]]]:
        """Yield what is found in the one stretch of a batch, a block at a time, or the error."""
        try:
            self._loaded = self._loaded or self._model.load()
            stretch: Stretch = pickle.loads(batch["stretch"][0])
            for block in describe_stretch(stretch, *self._loaded):
                yield {"found": [pickle.dumps(block)]}
        except ProgeoError as error:
            yield {"found": [pickle.dumps(error)]}


def _connect(address: str) -> None:
    # What Ray says of itself goes to its logs, and nothing to its makers.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = _ray()
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    options = {"include_dashboard": False} if address == "local" else {}
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        _require_port(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:_MAX_MESSAGE]
        raise DataError(
            f"--ray {address}: there is no Ray cluster to reach ({reason}); start one with 'ray"
            " start --head', or take --ray local"
        ) from error
    if threading.current_thread() is threading.main_thread():
        # Ray puts its own handler there.
        signal.signal(signal.SIGTERM, on_terminate)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # Every block goes out as soon as it is described.
    context.target_max_block_size = 1


def _require_port(address: str) -> None:
    """Raise `OSError` where nobody answers at an address: Ray itself waits for minutes."""
    host, colon, port = address.rpartition("/")[2].rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError("--ray needs Ray: pip install 'progeo_ros[fleet]'") from error
    return ray


def _workers(device: str, threads: int) -> _Workers:
    """Return the workers that fit the cluster: one per GPU, else one per so many processors."""
    total = _ray().cluster_resources()
    cpus, gpus = int(total.get("CPU", 0)), int(total.get("GPU", 0))
    if device != "cpu" and gpus:
        return _Workers(gpus, max(1, cpus // gpus), 1)
    if device.startswith("cuda"):
        raise UsageError(f"--device {device}: the Ray cluster has no GPU; take auto or cpu")
    return _Workers(max(1, cpus // threads), threads, 0)
