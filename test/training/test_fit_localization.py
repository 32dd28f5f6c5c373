"""The script that fits the localizer's constants."""

import math
import runpy
from pathlib import Path

import numpy as np
import pytest

from progeo_core.localization import fitted_constants
from progeo_core.localization.fitted_constants import (
    SequenceConstants,
    SingleImageConstants,
    VerificationConstants,
)

SCRIPT = runpy.run_path(
    str(Path(__file__).resolve().parents[2] / "training" / "fit_localization.py")
)
Outcome, fit = SCRIPT["Outcome"], SCRIPT["fit"]


def test_loss_punishes_sure_and_wrong_most() -> None:
    right = np.array([True, False])
    assert Outcome(np.array([1.0, 0.0]), right).loss == pytest.approx(0.0, abs=1e-3)
    assert Outcome(np.array([0.5, 0.5]), right).loss == pytest.approx(math.log(2.0))
    assert Outcome(np.array([0.0, 1.0]), right).loss > 5.0


def test_search_finds_the_constant_that_matters() -> None:
    def losses(tried: SingleImageConstants) -> list[float]:
        return [abs(math.log(tried.gap_slope / 45.0)), 0.0]

    found = fit(SingleImageConstants(), losses, rounds=3)
    assert found.gap_slope == pytest.approx(30.0 * 1.2 * 1.1, rel=0.25)
    assert found.sharpness == SingleImageConstants().sharpness


def test_nothing_changes_without_a_gain() -> None:
    assert fit(SequenceConstants(), lambda _: [1.0], rounds=4) == SequenceConstants()


def test_constants_are_what_the_script_writes() -> None:
    source = Path(fitted_constants.__file__).read_text(encoding="utf-8")
    today = SingleImageConstants(), SequenceConstants(), VerificationConstants()
    assert SCRIPT["written"](source, today) == source
    changed = SCRIPT["written"](source, [today[0]._replace(gap_slope=12.345678)])
    assert "    gap_slope: float = 12.35\n" in changed
    assert changed.count("\n") == source.count("\n")


@pytest.mark.slow
def test_script_measures_scenes_with_their_images_on_and_off_the_map(
    campus_loop, corridor_few, small_model, capsys, tmp_path
) -> None:
    campus = str(campus_loop / "records.csv")
    arguments = ["--scene", "campus", campus, campus, "9"]
    arguments += ["--scene", "corridor", *map(str, corridor_few), "2.5"]
    arguments += ["--model", str(small_model), "--rounds", "0", "--cache", str(tmp_path / "kept")]
    SCRIPT["main"](arguments)
    printed = capsys.readouterr().out
    kept = {path.name.split("_")[0] for path in (tmp_path / "kept").iterdir()}
    assert kept == {"drive", "inliers"}
    assert "2 scenes" in printed
    fitted = SequenceConstants()._asdict() | VerificationConstants()._asdict()
    for name, value in fitted.items():
        assert f"{name}: {value:g} today" in printed
    tables = printed[: printed.index("accepted right")].splitlines()
    losses = [float(line.split()[1]) for line in tables if line.startswith("campus")]
    # Single images, sequences, and verification of both.
    assert len(losses) == 3
    assert all(0.0 <= loss < math.log(2.0) for loss in losses)


@pytest.fixture
def corridor_few(corridor, tmp_path):
    """Return tables of every fourth image of the corridor's two passes."""
    tables = []
    for name in ("ref", "query"):
        lines = (corridor / f"{name}.csv").read_text().splitlines()
        rows = [f"{corridor}/{line}" for line in lines[1::4]]
        tables.append(tmp_path / f"{name}.csv")
        tables[-1].write_text("\n".join([lines[0], *rows]) + "\n")
    return tables
