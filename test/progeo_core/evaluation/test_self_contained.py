import base64
import hashlib
import json

import pytest

from progeo_core.errors import UsageError
from progeo_core.evaluation.self_contained import (
    PageKind,
    content_policy,
    embed_bytes,
    embed_json,
)

KIND = PageKind("map view", "a map")


def test_no_text_ends_the_element_that_holds_it():
    text = embed_json({"name": "</script><b>ä"})
    assert "<" not in text
    assert text.isascii()
    assert json.loads(text) == {"name": "</script><b>ä"}


def test_only_the_script_of_the_page_may_run():
    digest = base64.b64encode(hashlib.sha256(b"alert()").digest()).decode()
    assert f"script-src 'sha256-{digest}'" in content_policy("alert()")
    assert content_policy("", "https://a.org").endswith("img-src data: https://a.org")
    assert content_policy("").endswith("img-src data:")
    assert embed_bytes(b"abc") == "YWJj"


def test_a_page_takes_the_place_of_one_of_its_kind_and_of_nothing_else(tmp_path):
    path, other, folder = (tmp_path / name for name in ("a.html", "b.html", "c.html"))
    KIND.write(path, f"<head>{KIND.mark}")
    assert KIND.write(path, f"<head>{KIND.mark}\udcff") == path.stat().st_size
    assert path.read_text().endswith("\\udcff")
    folder.mkdir()
    other.write_text(f"<head>{PageKind('loops', 'loops').mark}")
    for taken in (other, folder):
        with pytest.raises(UsageError, match="is no page of a map: choose another name"):
            KIND.write(taken, KIND.mark)
    with pytest.raises(UsageError, match="nowhere does not exist; make it first"):
        KIND.check(tmp_path / "nowhere" / "a.html")
