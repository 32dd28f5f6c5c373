"""`progeo model prompts`: learned prompts as the words that are nearest to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.commands.console import print_json, tables, waiting
from progeo_core.commands.options import JsonFlag

if TYPE_CHECKING:
    from progeo_core.train.prompt_words import ClassWords

SCHEMA = 1
_DEFAULT_MODEL = "CLIP-RN50:openai"


def prompts(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="last_prompt_learners.pth of stage 1, or the authors' prompt_learners.pth.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="Whose words: best_model.pth of the training, a model imported --with-text, or a"
            " backbone with its weights. The text sides of the four CLIP backbones differ.",
        ),
    ] = _DEFAULT_MODEL,
    classes: Annotated[
        int, typer.Option("--classes", metavar="N", help="Classes to show of each group.", min=1)
    ] = 5,
    words: Annotated[
        int, typer.Option("--words", metavar="N", help="Words for each vector.", min=1, max=100)
    ] = 3,
    as_json: JsonFlag = False,
) -> None:
    """Show the words of CLIP that are nearest to learned prompts, with their distances.

    Stage 1 learns vectors for each class of places, four unless --n_ctx said so, in "A photo of a X
    X X X street." They need not be near any word: distances of one word to another are about 0.5.
    Nothing that the file holds is run.

        progeo model prompts logs/site/stage1/*/last_prompt_learners.pth \\
            --model logs/site/stage2/*/best_model.pth --classes 20

    JSON: schema (1), file, model, form ("A photo of a X X X X street."), groups (number of classes
    in each), prompts (group, class_id (UTM zone, east, north, heading) or null, vectors: of each,
    words with word and distance).
    """
    from progeo_core.train.prompt_words import read_word_embedding, words_of_classes
    from progeo_core.train.prompts_file import read_prompts

    groups = read_prompts(file)
    with waiting("reading the words"):
        embedding = read_word_embedding(model)
    shown = words_of_classes(groups, embedding, classes, words)
    form = str(groups[0].form) if groups else ""
    if as_json:
        sizes = [len(group.prompts) for group in groups]
        said = {"schema": SCHEMA, "file": str(file), "model": model, "form": form, "groups": sizes}
        print_json({**said, "prompts": [one.to_json() for one in shown]})
    else:
        tables().print(form, markup=False, highlight=False)
        _print(shown)


def _print(shown: list[ClassWords]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("group", justify="right")
    table.add_column("class")
    for number in range(max(len(one.vectors) for one in shown)):
        table.add_column(f"X{number + 1}", overflow="fold")
    for one in shown:
        vectors = ("\n".join(f"{word} {far:.2f}" for word, far in near) for near in one.vectors)
        name = ", ".join(f"{value:.10g}" for value in one.class_id or ()) or "unknown"
        table.add_row(str(one.group), name, *vectors)
    tables().print(table, markup=False, highlight=False)
