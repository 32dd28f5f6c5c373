"""The pieces of HTML that a report is made of."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from html import escape

from progeo_core.evaluation.plot_style import HALF, WIDE


def figure_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the rows of a table of figures; the first cell of every row names it."""
    head = "".join(f'<th class="number">{escape(name)}</th>' for name in columns)
    body = [f"<tr><th></th>{head}</tr>"]
    for name, *values in rows:
        cells = "".join(f'<td class="number">{escape(value)}</td>' for value in values)
        body.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    return "".join(body)


def fact_table(facts: Iterable[tuple[str, str]]) -> str:
    """Return the rows of a table of names and texts."""
    return "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts
    )


def svg_image(svg: str, alt: str) -> str:
    """Return a plot as an image of its own, as ids inside one SVG clash with those of another."""
    return _image(svg.encode("utf-8"), "svg+xml", alt)


def wide_plot(draw: Callable[[float], str], alt: str) -> str:
    """Return a plot that fills the page, drawn again in half the width for a phone.

    draw: returns the SVG of a width (inches).
    """
    narrow = base64.b64encode(draw(HALF).encode("utf-8")).decode("ascii")
    source = f'<source media="(max-width: 620px)" srcset="data:image/svg+xml;base64,{narrow}">'
    return f"<picture>{source}{svg_image(draw(WIDE), alt)}</picture>"


def jpeg_image(jpeg: bytes, alt: str) -> str:
    """Return a picture as an image inside the page."""
    return _image(jpeg, "jpeg", alt)


def _image(content: bytes, kind: str, alt: str) -> str:
    data = base64.b64encode(content).decode("ascii")
    return f'<img src="data:image/{kind};base64,{data}" alt="{escape(alt)}">'
