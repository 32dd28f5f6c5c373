"""`progeo describe`: descriptors of images, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from progeo_core.commands.console import print_fields, progress, say_skipped, waiting
from progeo_core.commands.options import (
    MODEL,
    DeviceOption,
    ForceFlag,
    ModelOption,
    RuntimeOption,
    TrustFlag,
    check_new,
    check_place,
)
from progeo_core.errors import UsageError


def describe(
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.npy", help="File to write, float32 [n, D].")
    ],
    images: Annotated[
        list[Path] | None,
        typer.Argument(metavar="IMAGE", help="Image files.", show_default=False),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="All images under a folder, sorted by name."),
    ] = None,
    force: ForceFlag = False,
    model: ModelOption = MODEL.model,
    device: DeviceOption = MODEL.device,
    runtime: RuntimeOption = MODEL.runtime,
    trust_code: TrustFlag = MODEL.trust_code,
) -> None:
    """Write the descriptors of images as a NumPy array, in the order given.

    FILE.json beside it says which image each row is and which model made it. Images that cannot be
    read are named, left out, and listed there.

        progeo describe a.jpg b.jpg --out ab.npy
        progeo describe --images photos/ --out photos.npy

    FILE.json: schema (1), images (one per row), skipped (why each was left out), model
    (architecture, dimension, preprocessing, weights_sha256, normalized, name).
    """
    if out.suffix != ".npy":
        raise UsageError(f"--out {out}: the file must be called NAME.npy")
    if bool(images) == (folder is not None):
        raise UsageError("give image files or --images DIR, one of the two")
    check_new(out, force)
    check_place(out)
    from progeo_core.descriptors.descriptor_file import describe_to_file
    from progeo_core.inference.loading import load_encoder
    from progeo_core.records.image_list import list_images

    paths = list(images or ()) if folder is None else list_images(folder)
    with waiting("loading the model"):
        encoder = load_encoder(model, device, runtime, trust_code=trust_code)
    with progress("describing", len(paths)) as advance:
        report = describe_to_file(out, paths, encoder, advance=advance)
    say_skipped(report.skipped)
    shape = f"{len(report.images)} × {encoder.fingerprint.dimension} float32"
    print_fields(str(out), {"descriptors": shape, "skipped": len(report.skipped)})
