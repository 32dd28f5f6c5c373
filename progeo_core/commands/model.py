"""`progeo model`: look at a checkpoint, read the authors', write ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from progeo_core.commands.console import print_fields, print_json, waiting
from progeo_core.commands.model_prompts import prompts
from progeo_core.commands.options import (
    MODEL,
    ForceFlag,
    JsonFlag,
    ModelOption,
    check_new,
    check_place,
)
from progeo_core.commands.typer_versions import CommandGroup

app = CommandGroup(no_args_is_help=True, help="Look at a model, import one, export one.")


@app.command()
def info(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Built-in name, model folder, checkpoint file, or backbone."
        ),
    ] = MODEL.model,
    as_json: JsonFlag = False,
) -> None:
    """Show what a model is: backbone, head, descriptor length, preprocessing, weights.

    Without a name it shows the default model.

        progeo model info
        progeo model info best_model.pth
        progeo model info ViT-B-16-SigLIP:webli --json

    JSON: schema (1), name, form (model folder, checkpoint, backbone), backbone, head, dimension,
    normalized, with_text, preprocessing, parameters, weights_sha256, weights_bytes, source,
    licence, path, pretrained (weights that can be downloaded for a backbone).
    """
    from progeo_core.model.model_info import describe_model

    with waiting("reading the model"):
        described = describe_model(model)
    if as_json:
        print_json(described.to_json())
    else:
        fields = described.to_json().items()
        shown = {name.replace("_", " "): _readable(value) for name, value in fields if value != ""}
        del shown["schema"]
        print_fields(described.name, shown)


@app.command()
def history(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="Folder of a training run, logs/SAVE_DIR/STAGE/TIME.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Page to write; one that `progeo model history` wrote before is replaced. Default:"
            " history.html in the run's folder.",
        ),
    ] = None,
) -> None:
    """Write a training run as one page, also while it goes on.

    Losses and recalls over the epochs, the figures of the test with examples of its predictions
    (kept with --num_preds_to_save), and the settings that are not the defaults.

        progeo model history logs/site/stage2/2026-05-01_10-30-00
    """
    from progeo_core.evaluation.training_page import read_training_run, write_training_page

    path = out or run / "history.html"
    found = read_training_run(run)
    page_bytes = write_training_page(found, path)
    pages = {"epochs": len(found.history), "page": f"{path}, {page_bytes / 1e6:.1f} MB"}
    print_fields(str(run), pages)


BackboneOption = Annotated[
    str,
    typer.Option(
        "--backbone",
        metavar="B",
        help="CLIP-RN50, CLIP-RN101, CLIP-ViT-B-16 or CLIP-ViT-B-32, as it was trained.",
    ),
]
ImageSizeOption = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        metavar="PIXELS",
        min=32,
        help="Side of the images that the model sees; give the --image_size that a ResNet was"
        " trained with. Default: 512, for a ViT what it was trained for.",
    ),
]


@app.command("import")
def import_model(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="best_model.pth of the authors' code."),
    ],
    backbone: BackboneOption,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Model folder to write. Default: progeo-B, here."
        ),
    ] = None,
    image_size: ImageSizeOption = None,
    with_text: Annotated[
        bool,
        typer.Option("--with-text", help="Keep CLIP's text side, which only training needs."),
    ] = False,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Leave descriptors unnormalised, as the authors evaluate their ViTs; maps and"
            " the localizer need normalised ones.",
        ),
    ] = False,
) -> None:
    """Turn a checkpoint of the authors' network into a model folder, which --model then takes.

    Weights are read without running anything that the file holds. The folder has
    model.safetensors and model.json.

        progeo model import best_model.pth --backbone CLIP-RN50
        progeo map build site.progeo --records site.csv --model progeo-CLIP-RN50
    """
    from progeo_core.model.authors_checkpoint import import_checkpoint

    target = out or Path(f"progeo-{backbone}")
    with waiting("reading the checkpoint"):
        folder = import_checkpoint(
            checkpoint,
            backbone,
            target,
            with_text=with_text,
            normalized=not raw,
            image_size=image_size,
        )
    print_fields(str(folder), {"use it with": f"--model {folder}"})


@app.command()
def export(
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.onnx", help="File to write.", show_default=False)
    ],
    model: ModelOption = MODEL.model,
    force: ForceFlag = False,
) -> None:
    """Write a model as ONNX, for runtimes other than torch; needs the package onnx.

    Input `images`: RGB uint8 [n, 3, height, width], already resized to the model's size; the rest
    is part of the file. Output `descriptors`: float32 [n, D], of unit length where the model's are.

        progeo model export --out descriptor.onnx
    """
    check_new(out, force)
    check_place(out)
    from progeo_core.inference.onnx_export import export_onnx
    from progeo_core.model.model_info import describe_model

    with waiting("exporting the model"):
        written = export_onnx(model, out)
    described = describe_model(model)
    fields = {"input": f"images, RGB uint8 [n, 3, height, width], {described.preprocessing}"}
    fields |= {"output": f"descriptors, float32 [n, {described.dimension}]"}
    print_fields(str(written), fields)


app.command()(prompts)


def _readable(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
