"""Process that talks to a fleet's store for a robot: `python -m progeo_core.fleet.worker URI`.

It reads requests from stdin and answers on stdout, a line of JSON each, until stdin ends. The
engine takes seconds to load and all cores to search: here it does so at a low priority, and
can be killed where the store does not answer.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from progeo_core.errors import ProgeoError
from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.pull import pull_region
from progeo_core.fleet.push import continued_session, push_batch, session_of_map
from progeo_core.fleet.region import Region
from progeo_core.fleet.store import FleetSession, FleetStore, kept_session
from progeo_core.geo import Datum
from progeo_core.map.place_map import PlaceMap

# What answers images comes first; still lower ones hardly get to load the engine on a busy robot.
_NICENESS = 10


class Worker:
    """Answers to requests, by a store that is opened when it is first needed."""

    def __init__(self, uri: str) -> None:
        """Serve one store."""
        self._uri = uri
        self._store: FleetStore | None = None
        # By the sessions of maps, as batches of one follow each other.
        self._continued: dict[FleetSession, FleetSession] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request, or `error` and `kind`, the name of its class."""
        jobs: dict[str, Callable[..., dict[str, Any]]] = {
            "open": self._open,
            "pull": self._pull,
            "count": _count,
            "push": self._push,
            "nearest": self._nearest,
        }
        serve = jobs[request.pop("job")]
        try:
            return serve(**request)
        except ProgeoError as error:
            # The store may come back as another one.
            self._store = None
            self._continued.clear()
            return {"error": str(error), "kind": type(error).__name__}

    def _open(self) -> dict[str, Any]:
        store = self._opened()
        return {"model": dataclasses.asdict(store.fingerprint), "version": store.info().version}

    def _pull(
        self, lat_deg: float, lon_deg: float, radius_m: float, target: str, datum: list[float]
    ) -> dict[str, Any]:
        store = self._opened()
        version = store.info().version
        region = Region.near(lat_deg, lon_deg, radius_m)
        report = pull_region(store, region, target, Datum(*datum) if datum else None)
        return {"places": report.places, "version": version}

    def _push(self, map_path: str, robot: str, after: int, before: int | None) -> dict[str, Any]:
        with PlaceMap.open(map_path) as place_map:
            session = session_of_map(place_map, robot)
            # Never made here: a disk that is not mounted would get a store of its own.
            store = self._opened()
            place_map.require_model(store.fingerprint)
            if session not in self._continued:
                kept = kept_session(store, session.key)
                self._continued[session] = continued_session(kept, session)
            batch = push_batch(place_map, store, self._continued[session], after, before)
        return batch._asdict()

    def _nearest(self, descriptor: list[float], count: int) -> dict[str, Any]:
        found = self._opened().nearest(np.array(descriptor), count)
        return {
            "geodetic": found.places.geodetic[:, :2].tolist(),
            "similarity": found.similarity.tolist(),
        }

    def _opened(self) -> FleetStore:
        if self._store is None:
            self._store = open_fleet(self._uri)
        return self._store


def _count(map_path: str, after: int) -> dict[str, Any]:
    with PlaceMap.open(map_path) as place_map:
        waiting = int(np.count_nonzero(place_map.ids() > after))
        return {"waiting": waiting, "has_datum": place_map.datum is not None}


def main(uri: str) -> None:
    """Answer requests until stdin ends."""
    os.nice(_NICENESS)
    # Ctrl-C reaches the whole group; the node ends this process when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print goes to the log, not among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(uri)
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
