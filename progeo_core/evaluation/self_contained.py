"""What a page needs to hold its data and script itself, and to be kept from requesting anything."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any


def embed_json(data: Any) -> str:
    """Return data for a script element: no text in it can end the element; ASCII only."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def embed_bytes(content: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(content).decode("ascii")


def content_policy(script: str, image_origin: str = "") -> str:
    """Return the Content-Security-Policy: the page's own script, and no request.

    image_origin: the one place that images may come from, "https://HOST"; "" for none.
    """
    digest = embed_bytes(hashlib.sha256(script.encode("utf-8")).digest())
    origin = f" {image_origin}" if image_origin else ""
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline';"
        f" script-src 'sha256-{digest}'; img-src data:{origin}"
    )
