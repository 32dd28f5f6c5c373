"""Pages that hold their data and script themselves, and request nothing: made and written."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError, UsageError

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{mark}
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">"""
# The mark of a page is among its first bytes.
_HEAD_BYTES = 500


class PageKind(NamedTuple):
    """Kind of page, known by the command that writes it, so that nothing else is replaced by one.

    of: what it is a page of, for errors.
    """

    command: str
    of: str

    @property
    def mark(self) -> str:
        """Return the element that a page of this kind has in its head."""
        return f'<meta name="generator" content="progeo {self.command}">'

    def check(self, path: Path) -> None:
        """Raise `UsageError` where a page cannot be made, or would replace another file."""
        if path.exists() and not self._is_at(path):
            raise UsageError(
                f"{path} exists already and is no page of {self.of}: choose another name"
            )
        if not path.parent.is_dir():
            raise UsageError(f"{path}: the folder {path.parent} does not exist; make it first")

    def write(self, path: Path, page: str) -> int:
        """Write a page to a file that appears whole or not at all; return its bytes.

        Bytes of files' names that are no UTF-8 become escapes. Raises as `check` does, and
        `DataError` where the file cannot be written.
        """
        self.check(path)
        content = page.encode("utf-8", "backslashreplace")
        try:
            with replaced_file(path) as unfinished:
                unfinished.write_bytes(content)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})") from error
        return len(content)

    def fill(self, package: str, name: str, title: str, data: Any, image_origin: str = "") -> str:
        """Return the page of NAME.html, .css and .js of a package, whose script reads `data`.

        image_origin: as for `content_policy`.
        """
        folder = resources.files(package)
        template, style, script = (
            folder.joinpath(f"{name}.{kind}").read_text(encoding="utf-8")
            for kind in ("html", "css", "js")
        )
        return Template(template).substitute(
            head=self.head(title, script, image_origin),
            style=style,
            script=script,
            data=embed_json(data),
        )

    def head(self, title: str, script: str = "", image_origin: str = "") -> str:
        """Return the beginning of a page, up to its style; arguments as `content_policy` has them.

        script: "" for a page without any.
        """
        policy = content_policy(script, image_origin)
        return _HEAD.format(mark=self.mark, policy=escape(policy), title=escape(title))

    def _is_at(self, path: Path) -> bool:
        try:
            with path.open("rb") as file:
                return self.mark.encode() in file.read(_HEAD_BYTES)
        except OSError:
            return False


def embed_json(data: Any) -> str:
    """Return data for a script element: no text in it can end the element; ASCII only."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def embed_bytes(content: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(content).decode("ascii")


def content_policy(script: str, image_origin: str = "") -> str:
    """Return the Content-Security-Policy: the page's own script, if any, and no request.

    image_origin: the one place that images may come from, "https://HOST"; "" for none.
    """
    digest = embed_bytes(hashlib.sha256(script.encode("utf-8")).digest())
    own = f"'sha256-{digest}'" if script else "'none'"
    origin = f" {image_origin}" if image_origin else ""
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline';"
        f" script-src {own}; img-src data:{origin}"
    )
