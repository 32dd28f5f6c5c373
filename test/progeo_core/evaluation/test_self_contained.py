import base64
import hashlib
import json

from progeo_core.evaluation.self_contained import content_policy, embed_bytes, embed_json


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
