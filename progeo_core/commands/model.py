"""`progeo model`: look at a checkpoint, read the authors', write ONNX."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Look at a model, import one, export one.")
