"""Parts of the page of a training run: predictions over the epochs, words of the prompts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from progeo_core.errors import DataError
from progeo_core.evaluation.report_html import jpeg_image
from progeo_core.train.settings import EPOCHS_FILE, EXAMPLES, WORDS_FILE

# Epochs shown of each query, the first and the last among them.
_EPOCHS = 5


def epoch_examples(folder: Path) -> str:
    """Return the best predictions of a few queries over the epochs of a run, "" without any.

    Raises `DataError` for a damaged file.
    """
    path = folder / EXAMPLES / EPOCHS_FILE
    epochs = _read(path, lambda content: [(one["epoch"], one["queries"]) for one in content])
    if not epochs:
        return ""
    count = min(_EPOCHS, len(epochs))
    numbers = {round(step * (len(epochs) - 1) / max(1, count - 1)) for step in range(count)}
    by_query: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for number in sorted(numbers):
        epoch, found = epochs[number]
        for one in found:
            by_query.setdefault(one["query"], []).append((epoch, one))
    cards = "".join(
        f'<div class="card epochs">{"".join(_row(path.parent, own))}</div>'
        for own in by_query.values()
    )
    return f"<h2>Best predictions over the epochs</h2>{cards}"


def prompt_words(folder: Path) -> str:
    """Return a table of the words nearest to the prompts of a run, "" without any.

    Raises `DataError` for a damaged file.
    """
    found = _read(folder / WORDS_FILE, lambda content: content["prompts"])
    if not found:
        return ""
    rows = "".join(
        f"<tr><th>{escape(_class(one))}</th>{''.join(map(_words, one['vectors']))}</tr>"
        for one in found
    )
    return (
        "<h2>Words nearest to the learned prompts</h2><p>Distances of one word of CLIP to another"
        f' are about 0.5.</p><div class="card"><table class="words">{rows}</table></div>'
    )


def _read(path: Path, parse: Any) -> list[Any]:
    """Return what a file of a run holds, [] without the file."""
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        found: list[Any] = parse(json.loads(text))
        return found
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error}); remove it to go without") from error


def _row(folder: Path, predictions: list[tuple[int, dict[str, Any]]]) -> Iterator[str]:
    """Yield the picture of a query and those of its best predictions."""
    _, first = predictions[0]
    yield _figure(folder / first["query_picture"], "query", first["query"])
    for epoch, one in predictions:
        known = one["distance_m"] is not None
        where = f"{one['distance_m']:g} m off" if known else "far off"
        kind = "right" if one["right"] else "wrong"
        yield _figure(folder / one["prediction_picture"], kind, f"epoch {epoch}: {kind}, {where}")


def _figure(picture: Path, kind: str, caption: str) -> str:
    image = jpeg_image(picture.read_bytes(), caption) if picture.is_file() else ""
    return f'<figure class="{kind}">{image}<figcaption>{escape(caption)}</figcaption></figure>'


def _class(one: dict[str, Any]) -> str:
    named = ", ".join(f"{value:.10g}" for value in one["class_id"] or ())
    return f"group {one['group']}: {named or 'unknown class'}"


def _words(vector: list[dict[str, Any]]) -> str:
    said = "<br>".join(f"{escape(near['word'])} {near['distance']:.2f}" for near in vector)
    return f"<td>{said}</td>"
