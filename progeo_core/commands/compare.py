"""`progeo compare`: several models side by side on one set of images."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from progeo_core.bags.recognition import Role, source_of_path
from progeo_core.commands.console import (
    print_fields,
    progress,
    say_skipped,
    tables,
    waiting,
    write_json,
)
from progeo_core.commands.evaluate import JsonOption, QueriesOption, warn_of_wide_radius
from progeo_core.commands.options import (
    MODEL,
    PROTOCOL,
    DeviceOption,
    ForceFlag,
    RadiusOption,
    RuntimeOption,
    TrustFlag,
    check_new,
    check_place,
)
from progeo_core.errors import DataError, UsageError
from progeo_core.versions import versions

# Of a list in the options of an address: a number, then its end or the next option.
_NUMBER = re.compile(r"\s*[-+]?\.?\d[\d.e+-]*\s*(&|$)")

if TYPE_CHECKING:
    from progeo_core.evaluation.comparison.compare_models import ComparedModel, Comparison

_ModelsOption = Annotated[
    list[str],
    typer.Option(
        "--models",
        metavar="A,B,...",
        help="Models to compare, each as --model takes them elsewhere; may be repeated.",
        show_default=False,
    ),
]
_DatabaseOption = Annotated[
    Path,
    typer.Option(
        "--database",
        metavar="IMAGES",
        help="Images with positions that maps are built from: a table (CSV), a folder ('@' names,"
        " EXIF GPS, or with `database` in it), or a bag.",
        show_default=False,
    ),
]
_PictureOption = Annotated[
    Path | None,
    typer.Option("--picture", metavar="FILE.svg", help="Draw the recalls of all models."),
]


def compare(
    database: _DatabaseOption,
    queries: QueriesOption,
    models: _ModelsOption,
    radius: RadiusOption = PROTOCOL.radius_m,
    json_path: JsonOption = None,
    picture: _PictureOption = None,
    force: ForceFlag = False,
    device: DeviceOption = MODEL.device,
    runtime: RuntimeOption = MODEL.runtime,
    trust_code: TrustFlag = MODEL.trust_code,
) -> None:
    """Compare models on the same images: recall, length, time and size, in one table.

    Each model makes a map of the database and answers the queries as single images: first by
    descriptors alone, then with the second stage, which compares the local features of uncertain
    queries with those of three places. ms: processor time for one decoded image in the fastest
    runtime here (on a GPU, time). MB: size of the map. Descriptors are kept in ~/.cache/progeo, so
    that a second comparison with one more model computes only that one's.

        progeo compare --database lap1.csv --queries lap2.csv --radius 2 \\
            --models mobilenetv2-gem,progeo-tiny,ViT-B-16-SigLIP:webli \\
            --picture models.svg

    JSON: schema (1), queries, database, protocol, models (each with model, dimension, runs_in,
    ms_per_image, map_bytes, recall_at ("1", "5", "10", "20") and the same under verified), skipped,
    database_file, queries_file, versions.
    """
    names = _split(models)
    if picture is not None:
        if picture.suffix != ".svg":
            raise UsageError(f"--picture {picture}: the file must be called NAME.svg")
        check_new(picture, force)
    check_place(picture)
    check_place(json_path)
    comparison = _compared(database, queries, names, radius, (device, runtime, trust_code))
    say_skipped(comparison.skipped)
    # First what cannot fail: the figures took long.
    if str(json_path) != "-":
        _print(comparison, f"{queries} in {database}")
        warn_of_wide_radius(comparison.radius_m, comparison.chance)
    if json_path is not None:
        files = {"database_file": str(database), "queries_file": str(queries)}
        write_json(json_path, comparison.to_json() | files | {"versions": versions()})
    if picture is not None:
        _draw(comparison, picture)


def _split(models: Sequence[str]) -> list[str]:
    """Return the names of models, each once; numbers after a comma belong to an address (mean=)."""
    names: list[str] = []
    for part in ",".join(models).split(","):
        if names and "?" in names[-1] and _NUMBER.match(part):
            names[-1] += f",{part}"
        elif part.strip():
            names.append(part.strip())
    if not names:
        raise UsageError("--models names no model: give one or more, separated by commas")
    return list(dict.fromkeys(names))


def _compared(
    database: Path,
    queries: Path,
    names: Sequence[str],
    radius: float,
    run_by: tuple[str, str, bool],
) -> Comparison:
    """Read the images, load all models before anything slow begins, and compare them."""
    sources = source_of_path(database, Role.DATABASE), source_of_path(queries, Role.QUERIES)
    from progeo_core.evaluation.comparison.compare_models import compare_models, count_steps
    from progeo_core.inference.feature_extractor import shared_extractor
    from progeo_core.inference.loading import load_encoder
    from progeo_core.records.image_source import records_in_files

    device, runtime, trust_code = run_by
    encoders = {}
    for name in names:
        with waiting(f"loading {name}"):
            encoders[name] = load_encoder(name, device, runtime, trust_code=trust_code)
    with tempfile.TemporaryDirectory(prefix="progeo-images-") as folder:
        records = []
        for role, source in zip(("database", "queries"), sources, strict=True):
            own = Path(folder) / role
            own.mkdir()
            records.append(records_in_files(source, own))
        steps = count_steps(len(records[0]), len(records[1]), len(encoders))
        with progress("comparing", steps) as advance:
            return compare_models(
                records[0],
                records[1],
                encoders,
                radius,
                extractor=shared_extractor(device, runtime),
                advance=advance,
            )


def _print(comparison: Comparison, title: str) -> None:
    """Print one table: two rows for each model, without and with the second stage."""
    from progeo_core.evaluation.metrics import radius_text

    console, counts = tables(), tuple(comparison.models[0].single)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("model", overflow="fold")
    table.add_column("", no_wrap=True)
    for name in (*(f"R@{n}" for n in counts), "values", "ms", "MB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("runs in", no_wrap=True)
    for model in comparison.models:
        table.add_row(model.model, "single", *_recalls(model.single), *_costs(model))
        table.add_row("", "stage 2", *_recalls(model.verified))
    console.print(table, highlight=False)
    console.print(
        f"{comparison.queries} queries, {comparison.with_positives} with a place within"
        f" {radius_text(comparison.radius_m)} among {comparison.database}; all of them count.",
        highlight=False,
    )


def _recalls(recall_at: dict[int, float]) -> list[str]:
    return [f"{value:.3f}" for value in recall_at.values()]


def _costs(model: ComparedModel) -> tuple[str, str, str, str]:
    size = f"{model.map_bytes / 1e6:.1f}"
    runtime = model.runs_in.partition(" ")[0]  # of "onnx in float32"
    return str(model.dimension), f"{model.ms_per_image:.0f}", size, runtime


def _draw(comparison: Comparison, picture: Path) -> None:
    from progeo_core.atomic_file import replaced_file
    from progeo_core.evaluation.comparison.picture import draw_comparison

    try:
        with replaced_file(picture) as unfinished:
            unfinished.write_text(draw_comparison(comparison), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{picture}: cannot be written ({error.strerror})") from error
    print_fields("", {"picture": picture})
