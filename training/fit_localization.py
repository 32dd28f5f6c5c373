"""Fit the constants of the localizer to scenes, and say what a site loses that was left out.

First the evidence is gathered: descriptors, local features and inliers of all images, once. Then
every constant of `progeo_core/localization/fitted_constants.py` is tried smaller and larger on all
scenes (of many jumps, on some), and changed where the scenes then cost less (see `Figures.cost`;
sites count alike). So it goes on with the next group of constants, and all of it once more. Every
site is left out once: no choice is made by it, and the table has what the constants give on its
images, which they had not seen.
--write puts the constants into the source and all figures into training/fitted_localization.json.

    python training/fit_localization.py --cache /tmp/fit --data /data --write
    python training/fit_localization.py --cache /tmp/fit --scene yard monday.csv tuesday.csv 2.5
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import re
import tempfile
from collections.abc import Sequence, Set
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from localization_answers import Constants, Mode, PreparedScene, Times
from localization_evidence import Evidence
from localization_figures import Figures, figures
from localization_odometry import Odometry
from localization_scenes import Scene, excerpt, given_scenes, read_scenes

from progeo_core.inference.loading import load_encoder
from progeo_core.localization import fitted_constants
from progeo_core.model.built_in import DEFAULT_MODEL

_FITTED = Path(fitted_constants.__file__)
_SUMMARY = Path(__file__).with_name("fitted_localization.json")
# What each group of constants is fitted by, in this order.
_MODES = {
    "verification": (
        Mode(False, True),
        Mode(True, True),
        Mode(True, True, Times.EVERY_SECOND),
    ),
    "sequence": (
        Mode(True, False, Times.EVERY_SECOND),
        Mode(True, False, Times.EVERY_SECOND, Odometry.TRUE),
        Mode(True, True, Times.EVERY_SECOND),
        Mode(True, True, Times.EVERY_SECOND, Odometry.DRIFTING),
    ),
    "single": (Mode(False, False), Mode(False, True)),
}
_ALL_MODES = (
    Mode(False, False),
    Mode(False, True),
    *(Mode(True, verified, times) for times in Times for verified in (False, True)),
    *(
        Mode(True, verified, Times.EVERY_SECOND, odometry)
        for odometry in (Odometry.DRIFTING, Odometry.TRUE)
        for verified in (False, True)
    ),
)
# Every constant is tried smaller and larger by this factor, chances by the other one.
_FACTOR, _RATE_FACTOR = 1.5, 3.0
# A change that gains less than this is noise.
_MIN_GAIN = 0.002


class Options(NamedTuple):
    """Where evidence is kept, the folder of the data, scenes of tables, model, and processes."""

    cache: Path
    data: Path | None
    scene: Sequence[Sequence[str]] | None
    model: str
    workers: int


class Workplace:
    """Scenes of one process, prepared when they are first asked for."""

    def __init__(self, options: Options, folder: Path) -> None:
        """Read the scenes; their maps go into a folder."""
        self.scenes = both(options)
        self._encoder = load_encoder(options.model, "cpu")
        self.evidence = Evidence(options.cache, self._encoder)
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._prepared: dict[int, PreparedScene] = {}

    def measure(self, scene: int, mode: Mode, constants: Constants) -> Figures:
        """Return the figures of a scene."""
        if scene not in self._prepared:
            self._prepared[scene] = PreparedScene(
                self.scenes[scene], self.evidence, self._encoder, self._folder
            )
        return figures(self._prepared[scene].answer(mode, constants))


_here: list[Workplace] = []


def _start_worker(options: Options, folder: Path) -> None:
    _here.append(Workplace(options, folder))


def _measure(scene: int, mode: Mode, trials: Sequence[Constants]) -> list[Figures]:
    """Return the figures of a scene by each trial, and keep what was gathered for them."""
    found = [_here[0].measure(scene, mode, constants) for constants in trials]
    _here[0].evidence.keep()
    return found


def both(options: Options) -> list[Scene]:
    """Return the scenes, and then excerpts of them, in the same order."""
    scenes = given_scenes(options.scene) if options.scene else read_scenes(options.data)
    return [*scenes, *(excerpt(scene) for scene in scenes)]


class Bench:
    """Figures of all scenes by constants under trial; nothing is measured twice."""

    def __init__(self, scenes: Sequence[Scene], pool: ProcessPoolExecutor, first: int = 0) -> None:
        """Measure in a pool of processes; first: number that these have for the first scene."""
        self.scenes, self._pool, self._first = scenes, pool, first
        self._known: dict[tuple[int, Mode, Constants], Figures] = {}

    def measure(
        self, modes: Sequence[Mode], trials: Sequence[Constants], scenes: Sequence[int]
    ) -> None:
        """Measure scenes by all trials."""
        jobs = {}
        for scene in scenes:
            for mode in modes:
                asked = dict.fromkeys(mode.read(trial) for trial in trials)
                new = [trial for trial in asked if (scene, mode, trial) not in self._known]
                if new:
                    jobs[scene, mode] = (
                        new,
                        self._pool.submit(_measure, self._first + scene, mode, new),
                    )
        for (scene, mode), (new, job) in jobs.items():
            for trial, found in zip(new, job.result(), strict=True):
                self._known[scene, mode, trial] = found

    def scenes_of(self, site: str | None) -> list[int]:
        """Return the numbers of a site's scenes, None of all."""
        return [one for one, scene in enumerate(self.scenes) if site in (None, scene.site)]

    def scenes_without(self, site: str | None) -> list[int]:
        """Return the numbers of all scenes but those of a site."""
        return [one for one, scene in enumerate(self.scenes) if site != scene.site]

    def figures(self, scene: int, mode: Mode, constants: Constants) -> Figures:
        """Return the figures of a scene that was measured."""
        return self._known[scene, mode, mode.read(constants)]

    def cost(
        self, modes: Sequence[Mode], constants: Constants, without: str | None = None
    ) -> float:
        """Return the mean cost of the sites, but for one that is left out."""
        of_site: dict[str, list[float]] = {}
        for number in self.scenes_without(without):
            costs = [self.figures(number, mode, constants).cost for mode in modes]
            of_site.setdefault(self.scenes[number].site, []).append(float(np.mean(costs)))
        return float(np.mean([np.mean(costs) for costs in of_site.values()]))


def fit(
    bench: Bench, start: dict[str | None, Constants], group: str
) -> dict[str | None, Constants]:
    """Return constants with one group fitted, of each site that is left out (None: no site).

    Changes that pay by themselves are taken together, or the two best, or the best.
    """
    modes = _MODES[group]
    fitted = {}
    for site, constants in start.items():
        scenes = bench.scenes_without(site)
        trials = {
            (name, factor): _changed(constants, group, {name: factor})
            for name in getattr(constants, group)._fields
            for factor in _factors(name)
        }
        bench.measure(modes, [constants, *trials.values()], scenes)
        today = bench.cost(modes, constants, site)
        gains = {key: today - bench.cost(modes, trial, site) for key, trial in trials.items()}
        paying = sorted((gain, key) for key, gain in gains.items() if gain > _MIN_GAIN)
        # The factor of a constant that gains most comes last, and stays.
        chosen = [
            _changed(constants, group, dict(key for _, key in paying[-most:]))
            for most in (len(paying), 2, 1)
            if paying
        ]
        bench.measure(modes, chosen, scenes)
        fitted[site] = min([constants, *chosen], key=lambda trial: bench.cost(modes, trial, site))
        print(
            f"{group}, without {site}: cost {today:.4f} ->",
            f"{bench.cost(modes, fitted[site], site):.4f}",
            *(f"{name} x {factor:.2g}: {gain:+.4f};" for gain, (name, factor) in paying),
            getattr(fitted[site], group),
            flush=True,
        )
    return fitted


def _factors(name: str) -> tuple[float, float]:
    factor = _RATE_FACTOR if name.endswith("_rate") else _FACTOR
    return 1.0 / factor, factor


def _changed(start: Constants, group: str, factors: dict[str, float]) -> Constants:
    values = getattr(start, group)
    scaled = {
        name: float(f"{getattr(values, name) * factor:.3g}") for name, factor in factors.items()
    }
    return start._replace(**{group: values._replace(**scaled)})


def fit_all(
    bench: Bench, start: Constants, groups: Sequence[str], rounds: int
) -> dict[str | None, Constants]:
    """Return the constants fitted to all sites (None), and to all but each.

    groups: of constants, each fitted with what the others became, all of them so many times.
    A site that was left out has no say in any of them.
    """
    sites: list[str | None] = [None, *dict.fromkeys(scene.site for scene in bench.scenes)]
    fitted: dict[str | None, Constants] = dict.fromkeys(sites, start)
    for _ in range(rounds):
        for group in groups:
            fitted = fit(bench, fitted, group)
    return fitted


def with_others(
    fitted: dict[str | None, Constants], known: dict[str | None, Constants], groups: Sequence[str]
) -> dict[str | None, Constants]:
    """Return fitted constants; groups that were not fitted are as known without the same site.

    Else a site that was left out of some groups would have had its say in the others.
    """
    return {
        site: known.get(site, one)._replace(**{group: getattr(one, group) for group in groups})
        for site, one in fitted.items()
    }


def known_constants(sites: Set[str]) -> dict[str | None, Constants]:
    """Return the constants as they are (None), and those of the last fit without each site."""
    left_out = json.loads(_SUMMARY.read_text(encoding="utf-8"))["left_out"]
    start = Constants()
    known: dict[str | None, Constants] = {None: start}
    for site in sorted(sites & left_out.keys()):
        groups = left_out[site].items()
        known[site] = start._replace(
            **{group: getattr(start, group)._replace(**values) for group, values in groups}
        )
    return known


def summary(bench: Bench, fitted: dict[str | None, Constants]) -> dict[str, Any]:
    """Return constants and figures of each scene, as fitted and with its site left out."""
    rows = []
    for site, constants in fitted.items():
        bench.measure(_ALL_MODES, [constants], bench.scenes_of(site))
        for number in bench.scenes_of(site):
            for mode in _ALL_MODES:
                found = bench.figures(number, mode, constants)
                rows.append(
                    {
                        "scene": bench.scenes[number].name,
                        "mode": str(mode),
                        "left_out": site is not None,
                        "precision": round(found.precision, 4),
                        "cost": round(found.cost, 4),
                        **{
                            name: None if math.isnan(value) else round(value, 4)
                            for name, value in found._asdict().items()
                        },
                    }
                )
    return {
        "constants": _values(fitted[None]),
        "left_out": {str(site): _values(one) for site, one in fitted.items() if site is not None},
        "scenes": rows,
    }


def _values(constants: Constants) -> dict[str, dict[str, float]]:
    return {group: values._asdict() for group, values in constants._asdict().items()}


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print what every scene gives by constants that saw its site, and that did not."""
    print(
        f"{'scene':32}{'mode':33}{'R@1':>6}{'accepted':>10}{'wrong':>6}{'off map':>10}"
        f"{'share':>7}{'ECE':>6}{'ellipse':>8}{'along':>6}{'first':>6}{'found':>6}{'cost':>7}"
        f"{'left out':>9}"
    )
    unseen = {(row["scene"], row["mode"]): row for row in rows if row["left_out"]}
    for row in rows:
        if row["left_out"]:
            continue
        other = unseen.get((row["scene"], row["mode"]), row)
        accepted = f"{row['accepted']}/{row['on_map']}"
        elsewhere = f"{row['off_map_accepted']}/{row['off_map']}"
        print(
            f"{row['scene']:32}{row['mode']:33}{_number(row['recall']):>6}{accepted:>10}"
            f"{row['wrong']:>6}{elsewhere:>10}{_number(row['share']):>7}"
            f"{_number(row['calibration_error']):>6}{_number(row['ellipse']):>8}"
            f"{_number(row['along']):>6}{_number(row['first'], 0):>6}{_number(row['found']):>6}"
            f"{row['cost']:>7.2f}{other['cost']:>9.2f}"
        )


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def as_json(found: dict[str, Any]) -> str:
    """Return a summary as JSON, a line for every scene and mode."""
    rows = ",\n".join(f"  {json.dumps(row)}" for row in found["scenes"])
    rest = json.dumps(found | {"scenes": []}, indent=1)
    return rest.replace('"scenes": []', f'"scenes": [\n{rows}\n ]') + "\n"


def written(source: str, fitted: Constants) -> str:
    """Return the source of the constants with other values."""
    for values in fitted:
        for name, value in values._asdict().items():
            line = rf"(?m)^(    {name}: float = ).*$"
            source = re.sub(line, rf"\g<1>{value}", source)
    return source


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    arguments = _parser().parse_args(argv)
    options = Options(
        arguments.cache, arguments.data, arguments.scene, arguments.model, arguments.workers
    )
    with tempfile.TemporaryDirectory() as folder:
        scenes = both(options)
        count = len(scenes) // 2
        with ProcessPoolExecutor(
            options.workers,
            multiprocessing.get_context("spawn"),
            _start_worker,
            (options, Path(folder)),
        ) as pool:
            fitted = known_constants({scene.site for scene in scenes})
            if arguments.fit:
                bench = Bench(scenes[count:], pool, count)
                found = fit_all(bench, Constants(), arguments.groups, arguments.rounds)
                fitted = with_others(found, fitted, arguments.groups)
            measured = summary(Bench(scenes[:count], pool), fitted)
    print_table(measured["scenes"])
    for group, values in measured["constants"].items():
        print(group, *(f"{name}={value:g}" for name, value in values.items()))
    if arguments.write:
        _FITTED.write_text(
            written(_FITTED.read_text(encoding="utf-8"), fitted[None]), encoding="utf-8"
        )
        _SUMMARY.write_text(as_json(measured), encoding="utf-8")
        print(f"written: {_FITTED}, {_SUMMARY}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Fit the constants of the localizer, and measure them on sites left out."
    )
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder that evidence is kept in between runs"
    )
    parser.add_argument(
        "--data", type=Path, help="folder of the data sets; without it, the scenes that ship"
    )
    parser.add_argument(
        "--scene",
        nargs=4,
        action="append",
        metavar=("NAME", "MAP_CSV", "QUERIES_CSV", "RADIUS_M"),
        help="scene of your own, instead of those; may be given again",
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model to describe images with")
    parser.add_argument("--workers", type=int, default=2, help="processes that answer images")
    parser.add_argument(
        "--groups", nargs="+", choices=_MODES, default=[*_MODES], help="constants to fit, in order"
    )
    parser.add_argument(
        "--rounds", type=int, default=2, help="times that all groups are fitted, one by one"
    )
    parser.add_argument(
        "--no-fit",
        dest="fit",
        action="store_false",
        help="only measure the constants as they are, and those of the last fit without each site",
    )
    parser.add_argument(
        "--write", action="store_true", help="write constants and figures into the project"
    )
    return parser


if __name__ == "__main__":
    main()
