"""Whether a map can be used here, and with which model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from progeo_core.errors import DataError, ProgeoError
from progeo_core.evaluation.doctor.finding import Finding, State, good
from progeo_core.map.place_map import PlaceMap


def check_map(path: Path, model: str) -> Iterator[Finding]:
    """Yield what a map lacks, and whether a model is the one that it was made with."""
    subject = str(path)
    try:
        place_map = PlaceMap.open(path)
    except DataError as error:
        yield Finding(subject, State.PROBLEM, str(error).removeprefix(f"{path}: "))
        return
    with place_map:
        if not len(place_map):
            fix = "progeo map build"
            yield Finding(subject, State.PROBLEM, "the map holds no places", fix)
            return
        yield good(subject, f"{len(place_map)} places, made with {place_map.fingerprint.name}")
        yield from _check_model(place_map, model)
        yield from _check_contents(place_map)


def _check_model(place_map: PlaceMap, model: str) -> Iterator[Finding]:
    from progeo_core.inference.loading import load_encoder

    try:
        place_map.require_model(load_encoder(model, "cpu", "torch").fingerprint)
    except ProgeoError as error:
        text = str(error).removeprefix(f"{place_map.path}: ")
        fix = f"give --model {place_map.fingerprint.name}, or the folder of that model"
        yield Finding("model", State.PROBLEM, text, fix)
        return
    yield good("model", f"{model} is the model of the map")


def _check_contents(place_map: PlaceMap) -> Iterator[Finding]:
    name = place_map.path
    if place_map.calibration() is None:
        text = "confidences are the default ones, not fitted to this map"
        fix = f"progeo map calibrate {name} --queries SECOND_PASS.csv"
        yield Finding("confidence", State.NOTE, text, fix)
    else:
        yield good("confidence", "fitted to this map")
    views = place_map.view_counts()
    if views.with_landmarks:
        text = f"{views.with_landmarks} places have 3-D points, so calibrated images get full poses"
        yield good("3-D points", text)
    else:
        text = "none, so answers are the poses of places, not of the camera"
        fix = f"progeo map structure {name} --camera-info camera.yaml"
        yield Finding("3-D points", State.NOTE, text, fix)
    if place_map.datum is None:
        text = "none, so answers are in metres only, without latitude and longitude"
        yield Finding("datum", State.NOTE, text, "build the map with --datum, if you need them")
    else:
        yield good("datum", f"{place_map.datum.lat_deg:.6f}, {place_map.datum.lon_deg:.6f}")
