from __future__ import annotations

import builtins
import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from progeo_core.model.restricted_pickle import PickledObject, read_pickle

DEEP = 200_000


def read(content: bytes, **options: Any) -> Any:
    return read_pickle(io.BytesIO(content), {}, lambda name: name, **options)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reads_plain_data_as_pickle_does(protocol: int) -> None:
    shared = [1, 2.5, -3, 2**70, "text", None, True, False]
    data = {"a": shared, 7: (1, 2, 3, 4), "again": shared, "deep": {"b": [[], (), ((1,), (2, 3))]}}
    assert read(pickle.dumps(data, protocol)) == data


def test_objects_of_known_classes_are_data() -> None:
    content = b"\x80\x02c__torch__.net\nNet\n)\x81}X\x01\x00\x00\x00wK\x05sb."
    assert read(content, class_prefix="__torch__.") == PickledObject("__torch__.net.Net", {"w": 5})
    with pytest.raises(ValueError, match=r"it names __torch__\.net\.Net"):
        read(content)


@pytest.mark.parametrize("protocol", [2, 4])
def test_runs_nothing_that_a_pickle_names(protocol: int, tmp_path: Path) -> None:
    class Runs:
        def __init__(self, function: object, *arguments: object) -> None:
            self.call = (function, arguments)

        def __reduce__(self) -> Any:
            return self.call

    planted = tmp_path / "planted"
    for hostile in (Runs(os.system, f"touch {planted}"), Runs(builtins.open, str(planted), "w")):
        with pytest.raises(ValueError, match="not part of any weights"):
            read(pickle.dumps({"weights": hostile}, protocol), class_prefix="__torch__.")
    assert not planted.exists()


@pytest.mark.slow
def test_nesting_is_no_recursion() -> None:
    lists = read(b"\x80\x02" + b"]" * DEEP + b"a" * (DEEP - 1) + b".")
    assert len(lists) == 1
    tuples = b"\x80\x02)" + b"\x85" * DEEP
    assert len(read(tuples + b".")) == 1
    with pytest.raises(ValueError, match="a tuple is the key"):
        read(b"\x80\x02}" + tuples[2:] + b"Ns.")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"\x80\x02",
        b"\x80\x02e.",
        b"\x80\x02h\x05.",
        b"\x80\x02X\xff\xff\xff\x7fa.",  # a text of 2 GB
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # bytes without end
        b"\x80\x02Nr\xff\xff\xff\x7f",  # no end after a memo number that lists would be made for
        b"\x80\x02K\x01K\x02a.",
        b"\x80\x02]K\x02K\x03s.",
        b"\x80\x02K\x01K\x02b.",
        b"\x80\x02K\x01)R.",
        b"cos\nsystem\n(S'true'\ntR.",
    ],
)
def test_what_is_damaged_is_an_exception(content: bytes) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011  # of any kind: the caller names the file
        read(content)


@pytest.mark.slow
def test_is_no_longer_than_weights_need() -> None:
    text = b"X" + (1 << 24).to_bytes(4, "little") + bytes(1 << 24)
    for long in (b"\x80\x02" + text + b"q\x00.", b"\x80\x02" + b"(" * 1_000_001):
        with pytest.raises(ValueError, match="longer than weights need"):
            read(long)


def test_leaves_the_file_where_the_pickle_ends() -> None:
    file = io.BytesIO(pickle.dumps("first", 2) + pickle.dumps("second", 2) + b"rest")
    assert [read_pickle(file, {}), read_pickle(file, {})] == ["first", "second"]
    assert file.read() == b"rest"
